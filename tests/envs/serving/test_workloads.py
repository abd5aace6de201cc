import json

import numpy as np
import pytest

from envs.core.errors import UsageError
from envs.serving.hardware import replica
from envs.serving.presets import PRESETS
from envs.serving.readers import read_azure, read_lengths, read_mooncake, read_request_log, read_sessions
from envs.serving.studies import Target, capacity, compare, validate
from envs.serving.types import ServingInstance
from envs.serving.workloads import arrivals, conversations, fit_lengths, length_tables, synthetic

PUBLISHED = {  # mean and median of the prompt, mean and median of the output, as the traces have them
    "azure_conversation": (1155, 1020, 211, 129),
    "sharegpt": (2340, 1730, 439, 415),
    "mooncake_conversation": (12035, 6909, 343, None),
}


@pytest.mark.parametrize("name", sorted(PUBLISHED))
def test_synthetic_lengths_have_the_published_means(name):
    requests = synthetic(name, 100_000, 5.0, 0)
    prompt_mean, prompt_median, output_mean, output_median = PUBLISHED[name]
    assert requests.prompt.mean() == pytest.approx(prompt_mean, rel=0.03)
    assert np.median(requests.prompt) == pytest.approx(prompt_median, rel=0.03)
    assert requests.output.mean() == pytest.approx(output_mean, rel=0.03)
    if output_median is not None:
        assert np.median(requests.output) == pytest.approx(output_median, rel=0.03)


@pytest.mark.parametrize("variation", [0.0, 1.0, 4.0])
def test_arrivals_have_their_rate_and_variation(variation):
    gaps = np.diff(arrivals(200_000, 4.0, np.random.default_rng(0), variation))
    assert gaps.mean() == pytest.approx(0.25, rel=0.05)
    assert gaps.std() / gaps.mean() == pytest.approx(variation, abs=0.15)


def test_the_same_seed_gives_the_same_workload():
    first, again, other = (synthetic("arxiv", 50, 1.0, seed, longest=4096) for seed in (3, 3, 4))
    assert np.array_equal(first.prompt, again.prompt)
    assert np.array_equal(first.arrival, again.arrival)
    assert not np.array_equal(first.prompt, other.prompt)
    assert int((first.prompt + first.output).max()) <= 4096


def test_the_copula_keeps_the_correlation_of_ranks():
    rng = np.random.default_rng(0)
    prompt = rng.integers(1, 1000, 20_000)
    table = fit_lengths(prompt, np.maximum(1000 - prompt, 1), "made up")
    drawn_prompt, drawn_output = table.draw(10_000, rng)
    assert table.correlation == pytest.approx(-1.0, abs=1e-3)
    assert np.corrcoef(drawn_prompt, drawn_output)[0, 1] < -0.99


def test_conversations_carry_their_history():
    requests = conversations("sharegpt", 200, 1.0, 0, users=7, longest=6000)
    turns = np.flatnonzero(requests.follows >= 0)
    before = requests.follows[turns]
    assert len(turns) > 100
    assert (requests.prompt[turns] > requests.prompt[before] + requests.output[before]).all()
    assert (requests.user[turns] == requests.user[before]).all()
    assert int((requests.prompt + requests.output).max()) <= 6000


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("novels", 10, 1.0, 0), "lengths is 'novels'; expected one of arxiv"),
        (("arxiv", 0, 1.0, 0), "count is 0; expected at least 1"),
        (("arxiv", 10, 0.0, 0), "rate is 0.0; expected a finite number above 0"),
    ],
)
def test_bad_workloads_are_named(arguments, words):
    with pytest.raises(UsageError, match=words):
        synthetic(*arguments)


def test_azure_traces(tmp_path):
    path = tmp_path / "azure.csv"
    path.write_text(
        "TIMESTAMP,ContextTokens,GeneratedTokens\n"
        "2023-11-16 18:15:46.6805900,374,44\n2023-11-16 18:15:50.9951690,396,0\n"
    )
    requests = read_azure(path)
    assert requests.arrival == pytest.approx([0.0, 4.314579], abs=1e-6)
    assert requests.prompt.tolist() == [374, 396]
    assert requests.output.tolist() == [44, 1]
    path.write_text("TIMESTAMP,ContextTokens,GeneratedTokens\nyesterday,374,44\n")
    with pytest.raises(UsageError, match="TIMESTAMP cannot be read"):
        read_azure(path)


def test_mooncake_traces(tmp_path):
    path = tmp_path / "mooncake.jsonl"
    rows = [{"timestamp": t, "input_length": 10 + t, "output_length": 5, "hash_ids": [1]} for t in (0, 3000, 3000)]
    path.write_text("\n".join(json.dumps(row) for row in rows))
    assert read_mooncake(path).arrival.tolist() == [0.0, 3.0, 3.0]
    jittered = read_mooncake(path, jitter=3.0, seed=1).arrival
    assert len(set(jittered.tolist())) == 3
    path.write_text('{"timestamp": "now"}\n')
    with pytest.raises(UsageError, match="entry 1: timestamp is 'now'; expected a finite number"):
        read_mooncake(path)


def test_length_tables_of_simulators(tmp_path):
    path = tmp_path / "lengths.csv"
    path.write_text("num_prefill_tokens,num_decode_tokens,num_total_tokens,pd_ratio\n100,20,120,5\n50,0,50,1\n")
    prompt, output = read_lengths(path)
    assert prompt.tolist() == [100, 50]
    assert output.tolist() == [20, 1]


def test_agentic_sessions(tmp_path):
    path = tmp_path / "sessions.jsonl"
    session = {
        "session_id": "a",
        "arrival_time_ns": 2e9,
        "sub_requests": [
            {"input_toks": 100, "output_toks": 10, "tool_duration_ns": 5e8},
            {"input_toks": 150, "output_toks": 20, "tool_duration_ns": 0},
        ],
    }
    path.write_text(json.dumps(session) + "\n")
    requests = read_sessions(path)
    assert requests.arrival.tolist() == [0.0, 0.5]
    assert requests.follows.tolist() == [-1, 0]
    path.write_text(json.dumps({**session, "sub_requests": []}) + "\n")
    with pytest.raises(UsageError, match="session 0 has no sub_requests"):
        read_sessions(path)


def test_a_measured_run_is_compared_with_its_simulation(tmp_path):
    path = tmp_path / "run.jsonl"
    rows = [
        {"input_toks": 64, "output_toks": 3, "queued_ts": 5.0 + i, "first_token_ts": 5.1 + i, "last_token_ts": 5.3 + i}
        for i in range(3)
    ]
    path.write_text("\n".join(json.dumps(row) for row in reversed(rows)))
    requests, measured = read_request_log(path)
    assert requests.arrival.tolist() == [0.0, 1.0, 2.0]
    assert measured["tpot"] == pytest.approx([0.1] * 3)
    engine = replica("llama_3_8b", "a100")
    found = validate(ServingInstance("run", (engine,), requests), PRESETS["vllm_v1"].strategy, measured)
    by_name = {row["metric"]: row for row in found}
    assert by_name["ttft_mean"]["measured"] == pytest.approx(0.1)
    assert by_name["latency_p99"]["error_percent"] == pytest.approx(
        100.0 * (by_name["latency_p99"]["simulated"] / 0.3 - 1.0)
    )


def make(rate, seed):
    engine = replica("llama_3_8b", "a100")
    return ServingInstance("load", (engine,), synthetic("sharegpt", 200, rate, seed, longest=8192))


def test_chunks_bear_more_load_than_whole_prompts():
    target = Target(0.1)
    found = {name: capacity(make, PRESETS[name].strategy, target, 0) for name in ("vllm_v0", "orca", "sarathi_512")}
    assert found["sarathi_512"] > 1.5 * found["vllm_v0"]
    assert found["sarathi_512"] > 1.5 * found["orca"]


def test_the_parts_of_sarathi_have_the_published_order():
    names = ("sarathi_hybrid_only", "sarathi_chunk_only", "sarathi_1024")
    found = compare(make, {name: PRESETS[name].strategy for name in names}, 2.0, range(3))
    ttft, tbt = (
        {name: float(np.mean([row[measure] for row in rows])) for name, rows in found.items()}
        for measure in ("ttft_p50", "tbt_p99")
    )
    assert ttft["sarathi_hybrid_only"] < ttft["sarathi_1024"] < ttft["sarathi_chunk_only"]
    assert tbt["sarathi_1024"] < tbt["sarathi_chunk_only"] < tbt["sarathi_hybrid_only"]


def test_a_target_that_is_always_kept_is_refused():
    with pytest.raises(UsageError, match="expected a tighter one"):
        capacity(make, PRESETS["sarathi_512"].strategy, Target(1e9, 1e9), 0, low=60_000.0)


def test_every_table_has_a_source():
    assert all("(" in table.source for table in length_tables().values())
