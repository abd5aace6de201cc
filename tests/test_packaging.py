"""The project as it is installed: the wheel's contents, the direction of imports, light imports, docs without holes."""

import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("envs", "agents", "models", "scripts")


def run(*command: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, check=False, cwd=cwd, capture_output=True, text=True, timeout=600)


def package_files() -> set[str]:
    """Every tracked-looking file that users need once the project is installed."""
    wanted = set()
    for package in (*PACKAGES, "conf"):
        for path in (ROOT / package).rglob("*"):
            relative = path.relative_to(ROOT)
            hidden = any(part.startswith((".", "__pycache__")) for part in relative.parts)
            if path.is_file() and not hidden and path.suffix not in {".pyc", ".nbi", ".nbc"}:
                wanted.add(relative.as_posix())
    return wanted


@pytest.fixture(scope="module")
def source_tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy to build from: setuptools leaves a build folder behind where it builds."""
    tree = tmp_path_factory.mktemp("source")
    for name in (*PACKAGES, "conf"):
        ignore = shutil.ignore_patterns("__pycache__", ".*")
        shutil.copytree(ROOT / name, tree / name, ignore=ignore)
    for name in ("pyproject.toml", "LICENSE", "README.md"):
        shutil.copy(ROOT / name, tree / name)
    return tree


def test_wheel_holds_every_file_of_the_packages(source_tree: Path, tmp_path: Path):
    built = run(
        sys.executable, "-m", "pip", "wheel", ".", "--quiet", "--no-deps", "--no-build-isolation",
        "--wheel-dir", str(tmp_path), cwd=source_tree,
    )  # fmt: skip
    assert built.returncode == 0, built.stderr
    (wheel,) = tmp_path.glob("dispatchlab-*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    assert package_files() - names == set()
    top = {name.split("/")[0] for name in names}
    assert {name for name in top if not name.endswith(".dist-info")} == {*PACKAGES, "conf"}


def test_console_commands_point_at_functions():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for target in project["scripts"].values():
        module, function = target.split(":")
        source = (ROOT / Path(*module.split("."))).with_suffix(".py").read_text()
        assert re.search(rf"^def {function}\(", source, re.MULTILINE), target


def lint_imports(tree: Path) -> subprocess.CompletedProcess[str]:
    command = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    return run(sys.executable, "-c", command, "--no-cache", "--no-logo", cwd=tree)


def test_imports_go_one_way(source_tree: Path):
    result = lint_imports(source_tree)
    assert result.returncode == 0, result.stdout


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("models/offender.py", "import agents"),
        ("agents/offender.py", "import envs.some_problem.env"),
        ("agents/offender.py", "from envs import some_problem"),
        ("models/offender.py", "import envs.some_problem"),
        ("envs/core/offender.py", "import envs.some_problem.env"),
        ("envs/job_shop/offender.py", "import envs.some_problem.env"),
        ("envs/some_problem/offender.py", "import models"),
        ("envs/some_problem/offender.py", "import torch"),
    ],
)
def test_the_contracts_catch_offenders_also_in_problems_added_later(
    source_tree: Path, tmp_path: Path, module: str, line: str
):
    tree = tmp_path / "tree"
    shutil.copytree(source_tree, tree, ignore=shutil.ignore_patterns("build", "*.egg-info"))
    problem = tree / "envs" / "some_problem"
    problem.mkdir()
    for name in ("__init__.py", "env.py"):
        (problem / name).write_text("import envs.core\n")
    assert lint_imports(tree).returncode == 0
    (tree / module).write_text(f"{line}\n")
    result = lint_imports(tree)
    assert result.returncode == 1, result.stdout
    assert "BROKEN" in result.stdout


def loaded_modules(statement: str) -> set[str]:
    result = run(sys.executable, "-c", f"import sys; {statement}; print(*sys.modules)")
    assert result.returncode == 0, result.stderr
    return {name.split(".")[0] for name in result.stdout.split()}


@pytest.mark.parametrize("statement", ["import envs", "import envs.core", "import envs; envs.core.problems()"])
def test_environments_load_without_heavy_libraries(statement: str):
    heavy = {"torch", "torch_geometric", "stable_baselines3", "ortools", "matplotlib", "onnxruntime", "hydra", "wandb"}
    assert loaded_modules(statement) & heavy == set()


def test_lock_file_covers_the_declared_dependencies():
    def canonical(requirement: str) -> str:
        return re.sub(r"[-_.]+", "-", re.split(r"[\[<>=!~; ]", requirement, maxsplit=1)[0]).lower()

    lines = (ROOT / "requirements.lock").read_text().splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    assert all(re.fullmatch(r"[A-Za-z0-9_.-]+==[A-Za-z0-9.]+", pin) for pin in pins)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = [requirement for group in project["optional-dependencies"].values() for requirement in group]
    declared = {canonical(requirement) for requirement in (*project["dependencies"], *extras)} - {"dispatchlab"}
    assert declared - {canonical(pin) for pin in pins} == set()


def markdown_files() -> list[Path]:
    return [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "benchmarks").rglob("*.md")]


def test_documented_make_commands_exist():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    mentioned = {
        target
        for path in markdown_files()
        for target in re.findall(r"(?:^|`)make ([a-z-]+)", path.read_text(), re.MULTILINE)
    }
    assert {"test", "demo"} <= mentioned
    assert mentioned - targets == set()


def test_links_between_pages_lead_somewhere():
    broken = []
    for path in markdown_files():
        text = re.sub(r"```.*?```", "", path.read_text(), flags=re.DOTALL)
        for target in re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(r'<img[^>]* src="([^"]+)"', text):
            file = target.split("#")[0]
            if file and "://" not in file and not file.startswith("mailto:") and not (path.parent / file).exists():
                broken.append(f"{path.relative_to(ROOT)}: {target}")
    assert broken == []
