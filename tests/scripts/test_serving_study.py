import csv
import json
import sys

import pytest

from agents.evaluation.rows import read_csv
from scripts import fit_serving, fit_serving_lengths, serving_study


def write_run(path, count=20):
    rows = [
        {
            "input_toks": 200 + 10 * i,
            "output_toks": 20,
            "queued_ts": 0.1 * i,
            "first_token_ts": 0.1 * i + 0.05,
            "last_token_ts": 0.1 * i + 0.5,
        }
        for i in range(count)
    ]
    path.write_text("\n".join(json.dumps(row) for row in rows))


def test_validation_writes_both_backends(tmp_path, monkeypatch, capsys):
    log, output = tmp_path / "run.jsonl", tmp_path / "validation.csv"
    write_run(log)
    arguments = ["validation", "--log", str(log), "--kv-blocks", "54400", "--output", str(output)]
    monkeypatch.setattr(sys, "argv", ["serving_study.py", *arguments])
    serving_study.main()
    with open(output, newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["run"] for row in rows} == {
        "llama_3_8b/rtx_pro_6000 fitted",
        "llama_3_8b/rtx_pro_6000 roofline",
    }
    assert {"metric", "measured", "simulated", "error_percent", "command"} <= set(rows[0])
    assert len(rows) == 24
    assert "ttft_mean" in capsys.readouterr().out


def test_ablation_is_written_whole(tmp_path, monkeypatch):
    output = tmp_path / "ablation.csv"
    monkeypatch.setattr(
        sys, "argv", ["serving_study.py", "ablation", "--seeds", "1", "--requests", "60", "--output", str(output)]
    )
    serving_study.main()
    with open(output, newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["workload"], row["scheduler"]) for row in rows] == [
        (workload, scheduler)
        for workload in ("sharegpt", "arxiv")
        for scheduler in ("sarathi_hybrid_only", "sarathi_chunk_only", "sarathi_1024")
    ]


def test_policies_are_held_against_the_best_rule(tmp_path, monkeypatch):
    output = tmp_path / "learned.csv"
    monkeypatch.setattr(sys, "argv", ["serving_study.py", "learned", "--output", str(output)])
    serving_study.main()
    with open(output, newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["workload"] == "all"]
    assert [row["task"] for row in rows] == ["chunk", "preempt", "route"]
    for row in rows:
        name = f"serving_{row['task']}"
        measured = read_csv(serving_study.RESULTS / name / f"{name}.csv")
        objectives = {}
        for each in measured:
            objectives.setdefault((each.kind, each.method), []).append(each.objective)
        means = {key: sum(values) / len(values) for key, values in objectives.items()}
        assert means["rule", row["best_rule"]] == min(mean for (kind, _), mean in means.items() if kind == "rule")
        assert float(row["policy_objective"]) == pytest.approx(means["learned", row["policy"]], rel=1e-5)
        difference = float(row["policy_objective"]) - float(row["rule_objective"])
        assert float(row["low"]) <= float(row["difference"]) <= float(row["high"])
        assert float(row["difference"]) == pytest.approx(difference, abs=1e-6)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["validation", "--output", "x.csv"], "validation needs --log and --kv-blocks"),
        (["capacity", "--seeds", "0", "--output", "x.csv"], "--seeds is 0; expected at least 1"),
        (["validation", "--log", "none.jsonl", "--kv-blocks", "9", "--output", "x.csv"], "none.jsonl cannot be read"),
    ],
)
def test_mistakes_end_with_a_sentence(arguments, words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["serving_study.py", *arguments])
    with pytest.raises(SystemExit) as ended:
        serving_study.main()
    assert ended.value.code == 2
    assert words in capsys.readouterr().err
    assert not (tmp_path / "x.csv").exists()


@pytest.mark.parametrize("script", [fit_serving, fit_serving_lengths])
def test_an_empty_folder_is_named(script, tmp_path, monkeypatch, capsys):
    output = tmp_path / "fitted.json"
    monkeypatch.setattr(sys, "argv", ["fit.py", str(tmp_path), "--output", str(output)])
    with pytest.raises(SystemExit) as ended:
        script.main()
    assert ended.value.code == 2
    assert "has no" in capsys.readouterr().err.replace("has none of", "has no")
    assert not output.exists()


def test_lengths_are_fitted_from_a_folder(tmp_path, monkeypatch):
    trace = tmp_path / "azure2023" / "AzureLLMInferenceTrace_conv.csv"
    trace.parent.mkdir()
    lines = [f"2023-11-16 18:15:{second:02}.0000000,{100 + second},{10 + second}" for second in range(60)]
    trace.write_text("TIMESTAMP,ContextTokens,GeneratedTokens\n" + "\n".join(lines) + "\n")
    output = tmp_path / "lengths.json"
    monkeypatch.setattr(sys, "argv", ["fit.py", str(tmp_path), "--output", str(output)])
    fit_serving_lengths.main()
    table = json.loads(output.read_text())["azure_conversation"]
    assert (table["prompt"][0], table["prompt"][-1]) == (100.0, 159.0)
    assert table["correlation"] == pytest.approx(1.0, abs=1e-3)


def test_profiles_are_fitted_from_a_folder(tmp_path, monkeypatch):
    path = tmp_path / "splitwise" / "perf_model.csv"
    path.parent.mkdir()
    lines = ["model,hardware,prompt_size,batch_size,token_size,prompt_time,token_time,tensor_parallel"]
    for prompt in (128, 512, 2048):
        for batch in (1, 4, 16):
            prefill, decode = 20.0 + 0.1 * prompt * batch, 30.0 + 0.2 * batch + 1e-3 * batch * (prompt + 64)
            lines.append(f"llama2-70b,h100-80gb,{prompt},{batch},128,{prefill},{decode},8")
    path.write_text("\n".join(lines) + "\n")
    output = tmp_path / "profiles.json"
    arguments = ["fit.py", str(tmp_path), "--only", "llama_2_70b/h100x8", "--output", str(output)]
    monkeypatch.setattr(sys, "argv", arguments)
    fit_serving.main()
    found = json.loads(output.read_text())["llama_2_70b/h100x8"]["execution"]
    assert found == pytest.approx(
        {"form": "splitwise", "a": 20.0, "c": 0.1, "p": 1.0, "d0": 30.0, "d1": 0.2, "d2": 1e-3}
    )
