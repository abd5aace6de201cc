"""WfCommons workflows: one runtime a task, edges that carry files."""

import pytest

from envs.soc_dag.instance import read_instance
from tests.envs.soc_dag.formats.samples import PLAIN, WFCOMMONS, changed, refused, write_json

OLD_WFCOMMONS = {
    "workflow": {
        "tasks": [
            {
                "name": "a",
                "runtime": 1.5,
                "parents": [],
                "files": [{"link": "output", "name": "x", "size": 8}],
            },
            {
                "name": "b",
                "runtimeInSeconds": 2,
                "parents": ["a"],
                "files": [{"link": "input", "name": "x", "sizeInBytes": 8}],
            },
        ]
    }
}


def test_wfcommons_edges_carry_the_shared_files(tmp_path):
    job = read_instance(write_json(tmp_path / "w.json", WFCOMMONS), PLAIN).job_types[0]
    assert job.tasks == ("a", "b", "c")
    assert job.times.ravel().tolist() == [1, 2, 3]
    assert list(zip(job.sources.tolist(), job.targets.tolist(), job.volumes.tolist(), strict=True)) == [
        (0, 1, 15), (0, 2, 10),
    ]  # fmt: skip


def test_old_wfcommons_schema(tmp_path):
    job = read_instance(write_json(tmp_path / "w.json", OLD_WFCOMMONS), PLAIN).job_types[0]
    assert (job.times.ravel().tolist(), job.volumes.tolist()) == ([1.5, 2], [8])


@pytest.mark.parametrize(
    ("name", "tasks"),
    [("helloworld/helloworld-chain-5-chameleon", 5), ("helloworld/helloworld-forkjoin-10-chameleon", 10)],
)
def test_published_wfcommons_files(data, name, tasks):
    instance = read_instance(data / "wfinstances_lgpl3" / f"{name}.json")
    assert instance.job_types[0].num_tasks == tasks
    assert instance.chip.num_processors == 8
    assert instance.time_unit == "s"
    assert instance.name.endswith("_p8_h0.5_s0")


TASK = ("workflow", "specification", "tasks")
MISTAKES = {
    "neither": ({"a": 1}, "has neither a field workflow"),
    "list": ([1], "has neither a field workflow"),
    "no runtimes": (changed(WFCOMMONS, ("workflow", "execution"), None), "field workflow.execution is missing"),
    "runtime missing": (changed(WFCOMMONS, ("workflow", "execution", "tasks", 1), {"id": "q", "runtimeInSeconds": 1}),
                        "task 'b' has no runtime"),
    "runtime text": (changed(WFCOMMONS, ("workflow", "execution", "tasks", 1, "runtimeInSeconds"), "long"),
                     "workflow.execution.tasks[1].runtimeInSeconds is 'long'"),
    "parent": (changed(WFCOMMONS, (*TASK, 1, "parents"), ["q"]), "workflow.specification.tasks[1].parents names 'q'"),
    "cycle": (changed(WFCOMMONS, (*TASK, 1, "children"), ["a"]), "form a cycle"),
    "no tasks": (changed(WFCOMMONS, TASK, []), "has no tasks"),
    "same id": (changed(WFCOMMONS, (*TASK, 1, "id"), "a"), "two tasks of the same id"),
}  # fmt: skip


@pytest.mark.parametrize(("content", "expected"), MISTAKES.values(), ids=MISTAKES.keys())
def test_mistakes_in_json(tmp_path, content, expected):
    assert expected in refused(write_json(tmp_path / "bad.json", content))
