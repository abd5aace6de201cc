"""The command that writes best-known values: better values and bounds replace what is there, the rest stays."""

import pytest

from envs.vm_rescheduling.prove import Known, better, main, read_table, write_table
from envs.vm_rescheduling.references import best_known

NAME = "synthetic_40_high_0"


def test_the_better_value_and_the_better_bound_stay():
    old = Known(0.5, 0.2, "old")
    assert better(None, old) == old
    assert better(old, Known(0.4, 0.1, "new")) == Known(0.4, 0.2, "new")
    assert better(old, Known(0.6, 0.3, "new")) == Known(0.5, 0.3, "old")


def test_named_instances_are_solved_and_other_rows_stay(tmp_path, capsys):
    table = tmp_path / "table.csv"
    other = Known(0.5, 0.25, "by hand")
    write_table(table, {"other": other, NAME: Known(0.9, 0.0, "by hand")})
    main(["synthetic", "--instances", NAME, "--time-limit", "60", "--threads", "1", "--table", str(table)])
    found = read_table(table)
    assert list(found) == ["other", NAME]
    assert found["other"] == other
    published = best_known()[NAME]
    assert (found[NAME].value, found[NAME].lower_bound) == pytest.approx((published.value, published.lower_bound))
    assert found[NAME].source == "this project: highs, 60 s"
    assert capsys.readouterr().out == f"{NAME}: {published.value:.6f}, bound {published.lower_bound:.6f}\n"


def test_an_unknown_instance_is_named(tmp_path, capsys):
    with pytest.raises(SystemExit):
        main(["synthetic", "--instances", "x", "--table", str(tmp_path / "table.csv")])
    assert "benchmark synthetic has no instance 'x'" in capsys.readouterr().err
    assert not (tmp_path / "table.csv").exists()
