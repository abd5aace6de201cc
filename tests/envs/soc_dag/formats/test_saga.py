"""SAGA and DAGBench graphs: related machines."""

import pytest

from envs.soc_dag.instance import read_instance
from tests.envs.soc_dag.formats.samples import SAGA, changed, refused, write_json


def test_saga_has_related_machines(tmp_path):
    instance = read_instance(write_json(tmp_path / "s.json", SAGA))
    assert instance.name == "small"
    assert instance.job_types[0].times.tolist() == [[3, 2], [1.5, 1]]
    assert instance.transfer_time(4, 1, 0) == 8
    assert instance.transfer_time(4, 0, 0) == 0


def test_published_dagbench_graphs(data):
    import yaml

    graphs = sorted((data / "dagbench_apache2").rglob("graph.json"))
    assert len(graphs) == 84
    for graph in graphs:
        stated = yaml.safe_load((graph.parent / "metadata.yaml").read_text())["graph_stats"]
        job = read_instance(graph).job_types[0]
        assert (job.num_tasks, len(job.sources)) == (stated["num_tasks"], stated["num_edges"]), graph


MISTAKES = {
    "no cost": (changed(SAGA, ("task_graph", "tasks", 0, "cost"), None), "field task_graph.tasks[0].cost is missing"),
    "negative": (changed(SAGA, ("task_graph", "tasks", 0, "cost"), -1), "task_graph.tasks[0].cost is -1"),
    "same name": (changed(SAGA, ("task_graph", "tasks", 0, "name"), "B"), "task_graph.tasks[1].name is 'B' again"),
    "unknown": (changed(SAGA, ("task_graph", "dependencies", 0, "source"), "Q"), "dependencies[0].source is 'Q'"),
    "no network": (changed(SAGA, ("network",), None), "field network is missing"),
    "no link": (changed(SAGA, ("network", "edges"), []), "has no link with a speed between nodes 'x' and 'y'"),
    "speed": (changed(SAGA, ("network", "nodes", 0, "speed"), 0), "network.nodes has a speed of 0"),
}  # fmt: skip


@pytest.mark.parametrize(("content", "expected"), MISTAKES.values(), ids=MISTAKES.keys())
def test_mistakes_in_json(tmp_path, content, expected):
    assert expected in refused(write_json(tmp_path / "bad.json", content))
