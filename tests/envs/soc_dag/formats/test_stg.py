"""Standard task graphs."""

import pytest

from envs.soc_dag.instance import read_instance
from tests.envs.soc_dag.formats.samples import PLAIN, STG, refused


def test_stg_counts_the_dummies_and_has_no_communication(tmp_path):
    for name in ("g.stg", "g.txt"):
        (tmp_path / name).write_text(STG)
        instance = read_instance(tmp_path / name, PLAIN)
        job = instance.job_types[0]
        assert job.times.ravel().tolist() == [0, 4, 6, 0]
        assert list(zip(job.sources.tolist(), job.targets.tolist(), strict=True)) == [(0, 1), (0, 2), (1, 3), (2, 3)]
        assert not job.volumes.any()


MISTAKES = {
    "STG empty": ("x.stg", "", "has no first line"),
    "STG count": ("x.stg", STG.replace("2\n", "3\n", 1), "has 4 tasks; expected 5"),
    "STG id": ("x.stg", STG.replace("1 4 1 0", "7 4 1 0"), "line 3: id is 7; expected 1"),
    "STG time": ("x.stg", STG.replace("1 4 1 0", "1 x 1 0"), "line 3: time is 'x'"),
    "STG listed": ("x.stg", STG.replace("1 4 1 0", "1 4 2 0"), "line 3: number of predecessors is 2, but 1 are listed"),
    "STG predecessor": ("x.stg", STG.replace("1 4 1 0", "1 4 1 9"), "line 3: predecessor is 9"),
    "STG cycle": ("x.stg", STG.replace("1 4 1 0", "1 4 1 3"), "form a cycle"),
}


@pytest.mark.parametrize(("name", "text", "expected"), MISTAKES.values(), ids=MISTAKES.keys())
def test_mistakes_in_text(tmp_path, name, text, expected):
    (tmp_path / name).write_text(text)
    assert expected in refused(tmp_path / name)
