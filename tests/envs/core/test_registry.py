"""Finding problems, making environments, selecting benchmarks, ending programs."""

import gymnasium
import pytest

from envs.core import Benchmark, UsageError, make_env, make_vector_env, problem, problems
from envs.core.errors import exit_on_usage_error


def test_every_problem_is_registered_under_the_namespace():
    for name, definition in problems().items():
        assert definition.name == name
        assert definition.env_id.startswith("dispatchlab/")
        assert definition.env_id in gymnasium.registry


def test_unknown_problem_names_the_known_ones():
    with pytest.raises(UsageError, match=r"there is no problem 'chess'; there are .*job_shop"):
        problem("chess")


def test_problems_cannot_be_changed():
    with pytest.raises(TypeError):
        problems()["chess"] = None


@pytest.mark.parametrize("make", [make_env, make_vector_env])
def test_unknown_option_names_the_known_ones(make):
    with pytest.raises(UsageError, match=r"dispatchlab/JobShop-v0 has no option 'bulider'; it has builder, "):
        make("job_shop", bulider="active")


def test_vector_options_come_as_mapping_or_as_arguments():
    first = make_vector_env("job_shop", 2, options={"builder": "active"}, max_episode_steps=3)
    second = make_vector_env("job_shop", 2, builder="active", max_episode_steps=3)
    assert first.problem.config == second.problem.config
    assert first.problem.config.builder == "active"


class Named:
    def __init__(self, name):
        self.name = name


def test_benchmarks_are_cut_down_by_name():
    benchmark = Benchmark("b", (Named("x"), Named("y"), Named("z")), groups={"x": "small"})
    chosen = benchmark.select(["z", "x"])
    assert [instance.name for instance in chosen.instances] == ["z", "x"]
    assert chosen.groups == benchmark.groups
    with pytest.raises(UsageError, match="benchmark b has no instance 'w'; it has x, y, z"):
        benchmark.select(["w"])


def test_usage_errors_end_a_program_with_one_line(capsys):
    def main():
        raise UsageError("shop.txt, line 3: what is this?")

    with pytest.raises(SystemExit) as end:
        exit_on_usage_error(main)
    assert end.value.code == 2
    assert capsys.readouterr().err == "error: shop.txt, line 3: what is this?\n"


def test_other_errors_are_not_hidden():
    def main():
        raise ValueError("a bug")

    with pytest.raises(ValueError, match="a bug"):
        exit_on_usage_error(main)
