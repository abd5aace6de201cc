import json
from pathlib import Path

import numpy as np
import pytest

from envs.core.errors import UsageError
from envs.serving.execution import Batch, Execution, active_experts, device_time, overhead
from envs.serving.fitting import fit_linear, percentage_error, relative_least_squares
from envs.serving.hardware import MODELS, derived_blocks, profiles, provenance, replica
from envs.serving.tables import read_columns


def milliseconds(execution, chunks=(), decodes=0, context=0, outputs=None):
    q = sum(tokens for tokens, _ in chunks)
    batch = Batch(
        len(chunks),
        q,
        float(sum(past for _, past in chunks)),
        float(sum(tokens * (past + tokens / 2) for tokens, past in chunks)),
        float(sum(tokens**2 for tokens, _ in chunks)),
        decodes,
        float(context),
        decodes if outputs is None else outputs,
    )
    return 1e3 * (device_time(execution.record(), batch) + overhead(execution.record(), batch))


def test_fitted_by_hand():
    execution = Execution(
        a=3.0, b=1.0, c=1.0, p=2.0, d0=0.5, d1=0.25, d2=0.01, head0=0.1, head1=0.2, cpu0=0.4, cpu1=0.1
    )
    # sqrt(3^2 + (1 + 3)^2) = 5 for three decodes over 100 tokens
    expected = 5.0 + 0.5 + 0.75 + 1.0 + 0.1 + 0.6 + 0.4 + 0.3
    assert milliseconds(execution, decodes=3, context=100) == pytest.approx(expected)


def test_chunks_change_the_attention_of_decodes():
    execution = Execution(d0=5.0, d2=1.0, m0=1.0, m1=2.0, m2=3.0, m3=4.0, m4=5.0, m5=6.0)
    assert milliseconds(execution, decodes=1, context=7) == pytest.approx(12.0)
    found = milliseconds(execution, chunks=[(2, 10)], decodes=1, context=7)
    assert found == pytest.approx(1.0 + 2 * 2 + 3 * 10 + 4 * 2 * (10 + 1) + 5 + 6 * 7)


def test_distserve_published_coefficients():
    execution = profiles()["opt_13b/a100"]
    assert milliseconds(execution, chunks=[(512, 0)]) == pytest.approx(
        18.1025 + 0.101912 * 512 + 7.12226e-6 * 512**2, rel=1e-4
    )
    small = 19.9347 + 6.26936e-4 * 6400 + 0.038507 * 64
    large = 7.16619 + 5.798e-4 * 12800 + 0.158311 * 128
    assert milliseconds(execution, decodes=64, context=6400) == pytest.approx(small, rel=1e-4)
    assert milliseconds(execution, decodes=128, context=12800) == pytest.approx(large, rel=1e-4)


def test_splitwise_mixes_at_a_loss():
    execution = Execution(form="splitwise", a=10.0, c=1.0, d0=20.0, d1=2.0, d2=0.1)
    assert milliseconds(execution, decodes=2, context=30) == pytest.approx(27.0)
    assert milliseconds(execution, chunks=[(5, 0)]) == pytest.approx(15.0)
    assert milliseconds(execution, chunks=[(5, 0)], decodes=2, context=30) == pytest.approx(1.1 * 22.0)


def test_coverage_of_experts_is_near_the_published_one():
    moe = profiles()["qwen_3_30b_a3b/rtx_pro_6000"].record()
    share = {tokens: active_experts(moe, tokens) / 128 for tokens in (1, 16, 64, 128)}
    assert share[1] * 128 == 8
    assert share[16] < 0.5
    assert share[64] < 0.77
    assert share[128] == pytest.approx(0.863, abs=0.01)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"form": "guess"}, "form is 'guess'; expected one of fitted"),
        ({"a": -1.0}, "a is -1.0; expected a finite number of at least 0"),
        ({"p": 0.5}, "p is 0.5; expected at least 1"),
        ({"experts": 4.0}, "experts_per_token is 0.0; expected 1 to 4"),
    ],
)
def test_bad_coefficients_are_named(options, words):
    with pytest.raises(UsageError, match=words):
        Execution(**options)


def test_memory_for_the_cache():
    # 80 GB x 0.9 - 2 GB - 16.06 GB of weights, in blocks of 16 x 131,072 bytes
    assert derived_blocks("llama_3_8b", "a100", 1, 16, 0.9) == int((72e9 - 2e9 - 2 * 8.03e9) / (16 * 131072))
    assert MODELS["opt_66b"].kv_bytes == 2359296
    assert MODELS["qwen_3_30b_a3b"].kv_bytes == 98304
    with pytest.raises(UsageError, match="llama_2_70b does not fit on 1 x a40"):
        replica("llama_2_70b", "a40")


def test_unknown_hardware_is_named():
    with pytest.raises(UsageError, match="device is 'b200'; expected one of a100"):
        replica("llama_3_8b", "b200")
    with pytest.raises(UsageError, match="backend is 'oracle'; expected fitted or roofline"):
        replica("llama_3_8b", "a100", backend="oracle")


@pytest.mark.parametrize("name", sorted(profiles()))
def test_every_profile_has_a_source_and_grows_with_the_batch(name):
    source, errors = provenance(name)
    assert "(" in source
    assert all(0.0 <= error < 20.0 for error in errors.values())
    execution = profiles()[name]
    assert milliseconds(execution, decodes=64, context=64000) > milliseconds(execution, decodes=64, context=6400)
    assert milliseconds(execution, chunks=[(2048, 0)]) > milliseconds(execution, chunks=[(256, 0)])


@pytest.mark.parametrize(("model", "device"), [("llama_3_8b", "rtx_pro_6000"), ("llama_3_8b", "a100")])
def test_the_roofline_is_near_the_profile_on_large_prompts(model, device):
    fitted, roof = (replica(model, device, backend=backend).execution for backend in ("fitted", "roofline"))
    assert milliseconds(roof, chunks=[(2048, 0)]) == pytest.approx(milliseconds(fitted, chunks=[(2048, 0)]), rel=0.2)


def test_fits_recover_what_was_put_in():
    tokens = np.array([1.0, 8, 32, 64, 128, 256, 512, 1024, 2048])
    time = (9.0**3 + (2.0 + 0.05 * tokens) ** 3) ** (1 / 3)
    found, error = fit_linear(tokens, time)
    assert error < 0.01
    assert found == pytest.approx({"a": 9.0, "b": 2.0, "c": 0.05, "p": 3.0}, rel=1e-3)
    columns = np.stack([np.ones(9), tokens], 1)
    assert relative_least_squares(columns, 3.0 + 0.5 * tokens) == pytest.approx([3.0, 0.5])
    assert percentage_error(np.array([110.0, 90.0]), np.array([100.0, 100.0])) == pytest.approx(10.0)


def test_tables_name_what_is_wrong(tmp_path):
    path = tmp_path / "dense.csv"
    path.write_text("layer,tokens\nqkv,1\nqkv,many\n")
    with pytest.raises(UsageError, match=r"there is no column 'time_us'; there are layer, tokens"):
        read_columns(path, ("time_us",))
    with pytest.raises(UsageError, match=r"dense.csv, line 3: tokens is 'many'; expected a finite number"):
        read_columns(path, ("tokens",))
    with pytest.raises(UsageError, match="cannot be read"):
        read_columns(tmp_path / "none.csv", ("tokens",))


def test_profiles_are_plain_data():
    path = Path(__file__).parents[3] / "envs/serving/data/profiles.json"
    assert set(json.loads(path.read_text())) == set(profiles())
