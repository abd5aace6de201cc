"""What the documentation shows is what the code does."""

import json
import re
from pathlib import Path

import pytest

from scripts.docs_pages import outdated_pages, regenerate

ROOT = Path(__file__).resolve().parent.parent


def test_generated_blocks_are_up_to_date(monkeypatch):
    monkeypatch.delenv("DISPATCHLAB_DATA", raising=False)
    assert [path.name for path in outdated_pages()] == [], "run make docs-pages"


def test_regenerating_replaces_what_was_typed_into_a_block():
    typed = "before\n<!-- generated: environments -->\nnonsense\n<!-- end -->\nafter\n"
    made = regenerate(typed)
    assert "nonsense" not in made
    assert "| `dispatchlab/JobShop-v0` |" in made
    assert made.startswith("before\n")
    assert made.endswith("<!-- end -->\nafter\n")
    assert regenerate(made) == made


@pytest.mark.parametrize("page", ["README.md", "docs/index.md", "docs/soc_dag.md", "docs/serving.md"])
def test_python_examples_run(page, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(), re.DOTALL)
    assert blocks
    for block in blocks:
        exec(compile(block, page, "exec"), {})
    printed = capsys.readouterr().out
    if page.endswith("index.md"):
        found, best = map(float, printed.split())
        assert best == 1231.0  # ta01, proven optimal
        assert found > best
    if page.endswith("soc_dag.md"):
        assert json.loads((tmp_path / "top_1.trace.json").read_text())
