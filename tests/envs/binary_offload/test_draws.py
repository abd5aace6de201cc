"""The model against the published draws: their rates, their modes, and what is odd about them."""

import numpy as np
import pytest

from envs.binary_offload.benchmarks import BENCHMARKS
from envs.binary_offload.draws import DATA_VARIABLE, instance_of, load_draws
from envs.binary_offload.draws import test_split as published_test_split
from envs.binary_offload.solvers import highest_rate, rate_of, started
from envs.binary_offload.types import Modes
from envs.binary_offload.verify import verify
from envs.core import UsageError

SLACK = 2e-6
"""Relative accuracy of the published rates."""

NOT_OPTIMAL = (1300, 2012, 4831, 13048, 16076, 18700, 18792, 19649, 19942)
"""Draws with ten devices whose published modes can be beaten, and so can the last six where the file repeats them."""


@pytest.mark.parametrize("devices", [5, 10])
def test_published_modes_are_worth_the_published_rates(draws, devices):
    published = draws(devices)
    for draw in range(0, len(published.gains), 25):
        state = started(instance_of(devices, draw))
        assert rate_of(state, published.offloads[draw]) == pytest.approx(published.rates[draw], rel=SLACK)


@pytest.mark.parametrize(("devices", "count"), [(5, 2000), (10, 300)])
def test_enumeration_finds_the_published_modes(draws, devices, count):
    published = draws(devices)
    for draw in np.linspace(0, len(published.gains) - 1, count).astype(int).tolist():
        rate, modes = highest_rate(instance_of(devices, draw))
        if devices == 10 and {draw, draw - 10_000} & set(NOT_OPTIMAL):
            continue
        assert modes == Modes(published.offloads[draw]), draw
        assert rate == pytest.approx(published.rates[draw], rel=SLACK)


def test_some_published_modes_are_not_optimal(draws):
    published = draws(10)
    gains = []
    for draw in NOT_OPTIMAL:
        instance = instance_of(10, draw)
        rate, modes = highest_rate(instance)
        assert 1e6 / verify(instance, modes) == pytest.approx(rate, rel=1e-12)
        gains.append(rate / published.rates[draw] - 1)
    assert min(gains) > 1e-4
    assert max(gains) == pytest.approx(0.00182, abs=1e-5)


def test_the_verifier_agrees_with_the_published_rates(draws):
    published = draws(10)
    for draw in range(0, len(published.gains), 600):
        seconds = verify(instance_of(10, draw), Modes(published.offloads[draw]))
        assert 1e6 / seconds == pytest.approx(published.rates[draw], rel=SLACK)


def test_every_published_test_draw_is_a_training_draw(draws):
    """Why policies here are trained on draws of the generator: the last third of the file repeats the second."""
    gains = draws(10).gains
    np.testing.assert_array_equal(gains[20_000:], gains[10_000:20_000])
    assert published_test_split(10) == range(24_000, 30_000)
    np.testing.assert_array_equal(draws(5).gains, gains[:10_000, :5])


def test_channels_are_as_the_generator_draws_them(draws):
    """Means by distance, and exponential fading."""
    gains = draws(10).gains[:20_000]
    distance = 2.5 + 0.3 * np.arange(10)
    fading = gains / (3.0 * (3e8 / (4 * np.pi * 915e6 * distance)) ** 2.8)
    np.testing.assert_allclose(fading.mean(axis=0), 1.0, atol=0.03)
    for level in (0.1, 0.5, 0.9, 0.99):
        assert np.quantile(fading, level) == pytest.approx(-np.log(1 - level), rel=0.03)


def test_benchmarks_have_proven_references_near_the_published_rates(draws):
    benchmark = BENCHMARKS["droo_5"]()
    assert len(benchmark.instances) == len(benchmark.references) == 500
    assert benchmark.instances[0].name == "droo5_8000"
    published = draws(5)
    for instance in benchmark.instances[::50]:
        reference = benchmark.references[instance.name]
        assert not reference.is_bound
        draw = int(instance.name.partition("_")[2])
        assert 1e6 / reference.value == pytest.approx(instance.optimal_rate, rel=1e-14)
        assert instance.optimal_rate == pytest.approx(published.rates[draw], rel=SLACK)


def test_without_the_folder_the_variable_is_named(monkeypatch):
    monkeypatch.delenv(DATA_VARIABLE, raising=False)
    with pytest.raises(UsageError, match=f"set the environment variable {DATA_VARIABLE}"):
        load_draws(10)
    with pytest.raises(UsageError, match=f"set the environment variable {DATA_VARIABLE}"):
        BENCHMARKS["droo"]()


def test_other_files_are_refused(monkeypatch, tmp_path):
    monkeypatch.setenv(DATA_VARIABLE, str(tmp_path))
    path = tmp_path / "offload" / "droo" / "data_10.mat"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"something else")
    with pytest.raises(UsageError, match=r"data_10\.mat differs from the published draws"):
        load_draws(10)
    with pytest.raises(UsageError, match="no draws with 7 devices; expected one of 5, 10"):
        load_draws(7)


def test_failed_downloads_name_file_and_source(monkeypatch, tmp_path):
    import pooch

    def fail(*_args, **_options):
        raise OSError("unreachable")

    monkeypatch.setenv(DATA_VARIABLE, str(tmp_path))
    monkeypatch.setattr(pooch, "retrieve", fail)
    with pytest.raises(
        UsageError, match=r"data_5\.mat is not there, and cannot be downloaded from https://.*: OSError"
    ):
        load_draws(5)
