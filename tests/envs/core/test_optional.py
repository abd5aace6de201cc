"""HiGHS, whose threads belong to the process, answers whatever the number of threads of the solver before."""

import pytest

from envs.core.optional import import_highspy, new_highs, run_highs


def maximum(threads):
    highspy = import_highspy("a test")
    solver = new_highs(highspy, threads=threads, seed=0)
    solver.addVar(0.0, 2.5)
    solver.changeColCost(0, -1.0)
    solver.changeColIntegrality(0, highspy.HighsVarType.kInteger)
    run_highs(highspy, solver)
    return -solver.getInfo().objective_function_value


def test_the_number_of_threads_may_change():
    assert [maximum(threads) for threads in (1, 2, 1)] == [2.0, 2.0, 2.0]


def test_a_refused_option_is_an_error():
    highspy = import_highspy("a test")
    new_highs(highspy, threads=1, seed=0)
    solver = highspy.Highs()
    solver.setOptionValue("output_flag", False)
    solver.addVar(0.0, 1.0)
    solver.setOptionValue("threads", 1)
    solver.run()
    solver.setOptionValue("threads", 2)
    with pytest.raises(RuntimeError, match="HiGHS failed"):
        run_highs(highspy, solver)
