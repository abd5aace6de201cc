"""The page of measures: means by group, published figures beside them, mistakes in files named."""

import pytest

from agents.evaluation.rows import COLUMNS
from envs.core import UsageError
from scripts.metrics_page import page, read_published, run

ROWS = """large_small_0,ujf,4.0,0.5
large_small_1,ujf,6.0,1.5
large_small_0,uwfq,3.0,0.25
large_small_1,uwfq,3.0,0.25
"""


def write_results(folder):
    """A result file of two instances and two rules, and published figures for one of them."""
    (folder / "spark").mkdir()
    (folder / "literature").mkdir()
    fixed = {"kind": "rule", "seed": "0", "wall_seconds": "1.0", "decisions": "1", "verified": "True"}
    fixed |= {"reference_is_bound": "False"}
    lines = [",".join([*COLUMNS, "dvr"])]
    for line in ROWS.splitlines():
        instance, method, objective, dvr = line.split(",")
        row = {**fixed, "instance": instance, "method": method, "objective": objective}
        lines.append(",".join([*(row.get(name, "") for name in COLUMNS), dvr]))
    path = folder / "spark" / "uwfq.csv"
    path.write_text("\n".join(lines) + "\n")
    published = "group,method,metric,value,source\nlarge_small,uwfq,dvr,0.16,Somebody 2025\n"
    (folder / "literature" / "spark_uwfq_metrics.csv").write_text(published)
    return path


def test_means_stand_beside_published_figures_best_first(tmp_path):
    text = page(write_results(tmp_path))
    assert "## large_small\n\n2 instances.\n" in text
    assert "| method | objective | dvr |" in text
    assert text.index("| `uwfq` | 3 | 0.25 (0.16) |") < text.index("| `ujf` | 5 | 1 |")
    assert "- Somebody 2025" in text
    assert "## power_small\n" not in text


def test_pages_are_written_and_checked(tmp_path):
    path, target = write_results(tmp_path), tmp_path / "page.md"
    with pytest.raises(UsageError, match="is out of date"):
        run(path, None, target)
    run(path, target, None)
    run(path, None, target)


def test_mistakes_are_named(tmp_path):
    with pytest.raises(UsageError, match="there is no such result file"):
        page(tmp_path / "spark" / "none.csv")
    file = tmp_path / "published.csv"
    file.write_text("group,method\n")
    with pytest.raises(UsageError, match="expected group, method, metric, value, source"):
        read_published(file)
    file.write_text("group,method,metric,value,source\na,b,c,x,d\n")
    with pytest.raises(UsageError, match="line 2: value is 'x'"):
        read_published(file)
