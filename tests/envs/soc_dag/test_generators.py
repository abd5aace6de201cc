"""Random graphs and scenarios: sizes, shapes, ranges and capacities."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from envs.core import UsageError
from envs.soc_dag.generators import (
    SCENARIOS,
    chains,
    fft,
    gaussian_elimination,
    in_tree,
    layered,
    out_tree,
    random_chip,
    topcuoglu,
    weighted,
)
from envs.soc_dag.tables import needed_capacity
from envs.soc_dag.types import JobType


def job_of(graph):
    return JobType("x", tuple(map(str, range(graph.tasks))), np.ones((graph.tasks, 1)), graph.sources, graph.targets,
                   np.zeros(len(graph.sources)))  # fmt: skip


def depths(graph):
    """Tasks on the longest path to every task."""
    job = job_of(graph)
    depth = [1] * graph.tasks
    for task in job.order:
        for after, _ in job.successors[task]:
            depth[after] = max(depth[after], depth[task] + 1)
    return depth


def edge_set(graph):
    return set(zip(graph.sources.tolist(), graph.targets.tolist(), strict=True))


@settings(deadline=None, max_examples=50)
@given(
    st.integers(0, 2**32), st.integers(1, 100), st.sampled_from([0.5, 1.0, 2.0]), st.sampled_from([1, 2, 3, 4, 5, 100])
)
def test_layered_graphs(seed, tasks, alpha, out_degree):
    graph = layered(np.random.default_rng(seed), tasks=tasks, alpha=alpha, out_degree=out_degree)
    assert graph.tasks == tasks
    assert len(edge_set(graph)) == len(graph.sources)  # no edge twice
    depth = depths(graph)
    assert depth == sorted(depth)  # numbered level by level
    widths = np.bincount(depth)[1:]
    assert all(depth[target] == depth[source] + 1 for source, target in edge_set(graph))
    own = [set() for _ in range(tasks)]
    for source, target in edge_set(graph):
        own[source].add(target)
    for task in range(tasks):
        if depth[task] < len(widths):
            assert len(own[task]) >= min(out_degree, widths[depth[task]])
    if out_degree == 1:
        assert len(graph.sources) <= 2 * tasks


def test_height_and_width_follow_alpha():
    rng = np.random.default_rng(5)

    def mean_height(alpha):
        return np.mean([max(depths(layered(rng, tasks=64, alpha=alpha, out_degree=2))) for _ in range(100)])

    # sqrt(64) / alpha; the mean of 100 uniform draws on 2..2 mean - 2 has a standard error below 0.85.
    assert mean_height(0.5) == pytest.approx(16, abs=3)
    assert mean_height(1.0) == pytest.approx(8, abs=1.5)
    assert mean_height(2.0) == pytest.approx(4, abs=0.5)


def test_costs_are_in_topcuoglus_ranges():
    rng = np.random.default_rng(2)
    job = topcuoglu(
        rng, tasks=2000, alpha=1.0, out_degree=3, ccr=5.0, beta=0.5, processors=6, mean_time=20.0, name="big"
    )
    row_means = job.times.mean(axis=1, keepdims=True)
    assert job.times.min() >= 0
    assert job.times.max() <= 40 * 1.25
    assert (job.times.max(axis=1) <= job.times.min(axis=1) * 1.25 / 0.75 + 1e-9).all()
    assert row_means.mean() == pytest.approx(20, rel=0.05)
    assert job.volumes.max() <= 2 * 5 * 20
    assert job.volumes.mean() == pytest.approx(5 * 20, rel=0.05)


@pytest.mark.parametrize("size", [2, 3, 5, 9])
def test_gaussian_elimination_has_the_published_number_of_tasks(size):
    graph = gaussian_elimination(size)
    assert graph.tasks == (size * size + size - 2) // 2
    assert max(depths(graph)) == 2 * (size - 1)  # pivot and update of every step


def test_gaussian_elimination_of_three_rows_by_hand():
    # 0 = pivot 1, 1 and 2 = its updates of columns 2 and 3, 3 = pivot 2, 4 = its update of column 3
    assert edge_set(gaussian_elimination(3)) == {(0, 1), (0, 2), (1, 3), (2, 4), (3, 4)}


@pytest.mark.parametrize("points", [2, 4, 16])
def test_fft_has_the_published_number_of_tasks_and_equal_paths(points):
    graph = fft(points)
    levels = int(np.log2(points))
    assert graph.tasks == 2 * points - 1 + points * levels
    assert len(edge_set(graph)) == len(graph.sources) == 2 * points - 2 + 2 * points * levels
    job = job_of(graph)
    depth = depths(graph)
    ends = [task for task in range(graph.tasks) if not job.successors[task]]
    assert len(ends) == points
    assert {depth[task] for task in ends} == {2 * levels + 1}


def test_every_output_of_the_fft_depends_on_every_leaf():
    graph = fft(8)
    reached = {7: {7}}
    job = job_of(graph)
    for task in job.order:
        reached[task] = {task}.union(*(reached[before] for before, _ in job.predecessors[task]))
    leaves = set(range(7, 15))
    assert all(leaves <= reached[task] for task in range(graph.tasks - 8, graph.tasks))


def test_trees_and_chains():
    assert edge_set(out_tree(3, 2)) == {(0, 1), (0, 2), (1, 3), (1, 4), (2, 5), (2, 6)}
    assert edge_set(in_tree(3, 2)) == {(5, 6), (4, 6), (3, 5), (2, 5), (1, 4), (0, 4)}
    assert edge_set(chains(2, 2)) == {(0, 1), (1, 2), (2, 5), (0, 3), (3, 4), (4, 5)}
    assert out_tree(1, 3).tasks == 1


@pytest.mark.parametrize(
    "make",
    [
        lambda: fft(6),
        lambda: gaussian_elimination(1),
        lambda: out_tree(0, 2),
        lambda: chains(1, 0),
        lambda: layered(np.random.default_rng(0), tasks=5, alpha=0.0, out_degree=1),
    ],
)
def test_parameters_out_of_range_are_refused(make):
    with pytest.raises(UsageError, match="expected"):
        make()


def test_costs_for_a_given_graph():
    job = weighted(np.random.default_rng(0), fft(4), ccr=0.5, beta=1.0, processors=3, name="fft")
    assert job.name == "fft"
    assert job.times.shape == (15, 3)
    assert job.volumes.max() <= 20


def test_random_chip_has_the_same_links_in_both_directions():
    chip = random_chip(np.random.default_rng(3), processors=5, spread=1.0, latency=2.0)
    np.testing.assert_array_equal(chip.bandwidth, chip.bandwidth.T)
    np.testing.assert_array_equal(chip.latency, chip.latency.T)
    off = chip.bandwidth[~np.eye(5, dtype=bool)]
    assert (off >= 0.5).all()
    assert (off <= 1.5).all()
    assert len(np.unique(off)) == 10


@pytest.mark.parametrize("name", SCENARIOS)
def test_scenarios_fit_their_capacity_and_use_only_the_given_generator(name):
    scenario = SCENARIOS[name]
    rng, again = np.random.default_rng(11), np.random.default_rng(11)
    np.random.seed(0)  # noqa: NPY002
    state = np.random.get_state()[1].copy()  # noqa: NPY002
    for _ in range(60):
        instance, other = scenario(rng), scenario(again)
        for need, count in needed_capacity([instance]).items():
            assert count <= scenario.capacity[need], (instance.name, need)
        for first, second in zip(instance.job_types, other.job_types, strict=True):
            np.testing.assert_array_equal(first.times, second.times)
            np.testing.assert_array_equal(first.volumes, second.volumes)
        assert instance.arrivals == other.arrivals
        assert instance.noise == other.noise
    assert (np.random.get_state()[1] == state).all()  # noqa: NPY002


def draws(name, count=150):
    rng = np.random.default_rng(7)
    return [SCENARIOS[name](rng) for _ in range(count)]


def test_canonical_scenario_covers_the_streams():
    instances = draws("canonical")
    assert {len(instance.job_types) for instance in instances} == {1, 4, 5, 6, 7, 8, 9, 10}
    assert {instance.arrivals.limit for instance in instances} == {3, 4, 5}
    assert all(25 <= instance.arrivals.scale <= 200 for instance in instances)
    assert all(1500 <= instance.arrivals.window <= 3000 for instance in instances)
    noisy = [instance.noise for instance in instances if instance.noise]
    assert 0.2 < len(noisy) / len(instances) < 0.45
    assert max(noisy) <= 0.5
    for instance in instances:
        names = [job_type.name for job_type in instance.job_types]
        assert len(set(names)) == len(names)


def test_random_streams_cover_chips_and_job_types():
    instances = draws("random_stream")
    assert {instance.chip.num_processors for instance in instances} == set(range(2, 9))
    assert {len(instance.job_types) for instance in instances} == set(range(1, 7))
    assert {instance.arrivals.mode for instance in instances} == {"open", "blocking"}
    assert {instance.whole_ticks for instance in instances} == {True, False}
    unsupported = [np.isinf(job.times).mean() for instance in instances for job in instance.job_types]
    assert 0.05 < np.mean(unsupported) < 0.4
    assert all(5 <= job.num_tasks <= 20 for instance in instances for job in instance.job_types)
    for instance in instances:
        if instance.whole_ticks:
            assert all((job.times[np.isfinite(job.times)] % 1 == 0).all() for job in instance.job_types)


def test_random_dags_are_single_jobs():
    instances = draws("random_dag")
    assert {instance.chip.num_processors for instance in instances} == set(range(3, 9))
    sizes = [instance.job_types[0].num_tasks for instance in instances]
    assert min(sizes) == 20
    assert max(sizes) == 60
    assert all(instance.objective == "makespan" and instance.arrivals.mode == "static" for instance in instances)
    assert all(len(instance.job_types[0].sources) > 0 for instance in instances)
