import pytest

from benchmarks.measurements import Measurement, best, best_table, number, ratio, speed_table


def _measurement(contender, lanes, rates, *, steps_per_schedule=None, **fields):
    # Two seconds of the core in four seconds of wall time: rates must be per second of the core.
    repetitions = [{"steps": 2 * r, "decisions": r, "core_seconds": 2.0, "wall_seconds": 4.0} for r in rates]
    return Measurement(contender, 3, 2, lanes, repetitions=repetitions, steps_per_schedule=steps_per_schedule, **fields)


def test_rates_are_medians_per_second_of_the_core():
    measured = _measurement("ours", 1, [100.0, 900.0, 300.0], steps_per_schedule=6)
    assert measured.steps_per_second == 300.0
    assert measured.decisions_per_second == 150.0
    assert measured.schedules_per_second == 50.0
    assert measured.to_json()["core_share"] == 0.5
    assert measured.wall_seconds == 12.0


def test_the_steps_of_a_schedule_decide_not_the_raw_step_rate():
    ours = _measurement("ours", 1, [600.0], steps_per_schedule=6)
    unit_steps = _measurement("peer", 1, [1200.0], steps_per_schedule=600)
    assert ratio(ours.schedules_per_second, unit_steps.schedules_per_second) == pytest.approx(50.0)


def test_a_contender_without_figures_has_no_ratio():
    failed = Measurement("peer", 3, 2, 1, error="out of memory")
    assert failed.schedules_per_second is None
    assert ratio(1.0, failed.schedules_per_second) is None
    assert ratio(None, 1.0) is None
    assert best([failed]) is None


def test_tables_compare_equal_cells_and_best_lanes():
    measurements = [
        _measurement("ours", 1, [60.0], steps_per_schedule=6, peak_mebibytes=150.0),
        _measurement("ours", 64, [6000.0], steps_per_schedule=6),
        _measurement("peer", 1, [6.0], steps_per_schedule=6),
        _measurement("peer", 64, [3.0], steps_per_schedule=6),
    ]
    lines = speed_table(measurements, "ours").splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert rows[0] == [
        "size", "lanes", "contender", "schedules/s", "decisions/s", "steps/s", "ours is", "peak MiB", "note"
    ]  # fmt: skip
    assert rows[2] == ["3x2", "1", "ours", "10.0", "30.0", "60.0", "1.00 ×", "150", ""]
    assert [row[6] for row in rows[2:]] == ["1.00 ×", "1.00 ×", "10.0 ×", "2,000 ×"]
    assert best_table(measurements, "ours").splitlines()[-1] == "| 3x2 | 1,000 | 1.00 (1,000 ×) |"


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "–"), (0.4567, "0.457"), (9.0, "9.00"), (12.34, "12.3"), (123.4, "123"), (1e6, "1,000,000")],
)
def test_numbers_keep_three_digits(value, text):
    assert number(value) == text
