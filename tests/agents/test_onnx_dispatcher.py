"""The ONNX dispatcher: alone with NumPy and ONNX Runtime, and driving the environments like the torch policy."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import subprocess
import sys
import venv
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnx
import pytest
from gymnasium.vector import AutoresetMode

from agents.checkpoint import load_dispatcher
from agents.deployment import load_onnx_dispatcher
from agents.evaluation.methods import build_methods
from agents.export import random_observation
from agents.onnx_dispatcher import METADATA_KEY, OnnxDispatcher, OnnxPolicyError, unpadded
from agents.rollout import roll_out
from envs.core import GraphVectorEnv, UsageError, make_vector_env, problem
from envs.job_shop.generators import uniform

ROOT = Path(__file__).parents[2]
DEFINITION = problem("job_shop")


@pytest.fixture(scope="module")
def dispatcher(policy_files):
    return OnnxDispatcher(policy_files.onnx)


@pytest.fixture(scope="module")
def example():
    """The documented program that calls the file with nothing but NumPy and ONNX Runtime."""
    path = ROOT / "docs" / "examples" / "call_job_shop_policy.py"
    specification = importlib.util.spec_from_file_location("call_job_shop_policy", path)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def instances():
    rng = np.random.default_rng(0)
    sizes = [(1, 1), (1, 4), (5, 1), (6, 6), (6, 6), (10, 5), (15, 15), (30, 4)]
    return [uniform(jobs, machines, rng, name=f"shop_{i}") for i, (jobs, machines) in enumerate(sizes)]


def arrays_of(env, observation, lane=0):
    return unpadded(env.problem.spec, observation, lane, tuple(env.problem.spec.arrays))


def test_same_greedy_schedules_as_torch(policy_files, dispatcher):
    torch_policy = load_dispatcher(policy_files.checkpoint, DEFINITION)
    shops = instances()
    ours = roll_out(DEFINITION, dispatcher.options, shops, dispatcher)
    theirs = roll_out(DEFINITION, torch_policy.options, shops, torch_policy)
    for our, their in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(our.solution.starts, their.solution.starts)


def test_cached_embeddings_change_nothing(dispatcher):
    env = make_vector_env("job_shop", 1, sizes=((7, 5),))
    observation, _ = env.reset(seed=0)
    first = dispatcher.run(arrays_of(env, observation))
    cached = {f"cached_{name}": array for name, array in first.items() if name.endswith("_embedding")}
    assert {name: array.shape for name, array in cached.items()} == {
        "cached_operation_embedding": (35, 16),
        "cached_job_embedding": (7, 16),
        "cached_machine_embedding": (5, 16),
    }
    for _ in range(10):
        observation, *_ = env.step(observation["action_mask"].argmax(axis=1))
        arrays = arrays_of(env, observation)
        fresh, quick = dispatcher.run(arrays), dispatcher.run({**arrays, **cached})
        np.testing.assert_array_equal(fresh["logits"], quick["logits"])
        np.testing.assert_array_equal(fresh["value"], quick["value"])
    changed = {name: array + 1 for name, array in cached.items()}
    assert (dispatcher.logits({**arrays, **changed}) != fresh["logits"])[arrays["action_mask"]].all()


def test_nodes_that_come_or_go_are_encoded_anew(dispatcher):
    """A stand-in environment whose second observation has other nodes than the first."""
    spec = DEFINITION.bind({"sizes": ((6, 4),)}).spec
    first = random_observation(spec, np.random.default_rng(0))
    second = {key: array.copy() for key, array in first.items()}
    second["counts"][0, 1] = 3  # of six jobs
    for edge in ("operation_part_of_job", "job_next_operation", "job_needs_machine"):
        second[f"{edge}_index"][...] %= 3
    env = SimpleNamespace(problem=SimpleNamespace(spec=spec), num_envs=1)
    dispatcher.reset(env, first)
    second["action_mask"][...] = True
    expected = dispatcher.logits(unpadded(spec, second, 0, tuple(spec.arrays))).argmax()
    assert dispatcher.decide(env, second).tolist() == [expected]


def test_padding_and_finished_lanes_do_not_matter(dispatcher):
    shops = [instances()[3], instances()[0], instances()[5]]
    options = {**dispatcher.options, **DEFINITION.fit(shops)}
    env = GraphVectorEnv(DEFINITION.bind(options), 3, strict=True, autoreset_mode=AutoresetMode.DISABLED)
    observation, info = env.reset(seed=0, options={"instances": shops})
    dispatcher.reset(env, observation)
    for _ in range(max(shop.num_jobs * shop.num_operations for shop in shops)):
        observation, *_, info = env.step(dispatcher.decide(env, observation))
    alone = roll_out(DEFINITION, dispatcher.options, shops, dispatcher)
    assert info["objective"].tolist() == [outcome.objective for outcome in alone]


def test_sampling_draws_from_the_softmax(dispatcher):
    lanes, temperature = 3000, 2.0
    env = make_vector_env("job_shop", lanes, sizes=((4, 4),), builder="non_delay", copy=False)
    shop = uniform(4, 4, np.random.default_rng(3))
    observation, _ = env.reset(seed=0, options={"instances": [shop] * lanes})
    draws = []
    for seed in (5, 5, 6):
        sampler = dispatcher.sampling(seed, temperature)
        sampler.reset(env, observation)
        draws.append(sampler.decide(env, observation))
    np.testing.assert_array_equal(draws[0], draws[1])
    assert (draws[0] != draws[2]).any()
    logits = dispatcher.logits(arrays_of(env, observation)).astype(float) / temperature
    probabilities = np.exp(logits - logits.max())
    probabilities /= probabilities.sum()
    counts = np.bincount(draws[0], minlength=4)
    deviation = np.sqrt(lanes * probabilities * (1 - probabilities)) + 1e-9
    assert (np.abs(counts - lanes * probabilities) < 5 * deviation).all()


def test_a_threshold_leaves_out_what_is_improbable(dispatcher):
    lanes = 2000
    env = make_vector_env("job_shop", lanes, sizes=((4, 4),), builder="non_delay", copy=False)
    shop = uniform(4, 4, np.random.default_rng(3))
    observation, _ = env.reset(seed=0, options={"instances": [shop] * lanes})
    logits = dispatcher.logits(arrays_of(env, observation)).astype(float)
    second = float(np.exp(np.sort(logits)[-2] - logits.max()))
    for threshold, expected in ((0.9 * second, 2), (1.1 * second, 1), (1.0, 1)):
        sampler = dispatcher.sampling(5, 1.0, threshold)
        sampler.reset(env, observation)
        assert set(sampler.decide(env, observation)) == set(np.argsort(logits)[-expected:])
    with pytest.raises(OnnxPolicyError, match=r"threshold is 1\.5"):
        dispatcher.sampling(0, 1.0, 1.5)


@pytest.mark.parametrize("temperature", [0.0, -1.0, float("nan")])
def test_temperature_is_positive(dispatcher, temperature):
    with pytest.raises(OnnxPolicyError, match="temperature is"):
        dispatcher.sampling(0, temperature)


def test_evaluation_knows_the_file_as_a_method(policy_files):
    entries = [f"onnx:{policy_files.onnx}", f"checkpoint:{policy_files.checkpoint}"]
    instance = DEFINITION.benchmarks["fisher_thompson"]().select(["ft06"]).instances
    objectives = []
    for entry in entries:
        (method,) = build_methods(DEFINITION, [entry], {}, 4)
        objectives.extend(outcome.objective for group in method.run(instance, [0]) for outcome in group)
        assert (method.name, method.kind, method.variant) == ("random_weights", "learned", "")
    assert objectives[0] == objectives[1] >= 55


@pytest.mark.parametrize("builder", ["non_delay", "active", "append"])
def test_the_documented_program_builds_the_same_arrays(example, builder):
    for seed, size in enumerate([(1, 1), (3, 4), (6, 3)]):
        env = make_vector_env("job_shop", 1, sizes=(size,), builder=builder, time_low=0, time_high=9)
        observation, _ = env.reset(seed=seed)
        instance = env.instance(0)
        shop = example.Shop(
            instance.machines.astype(np.int64), instance.times.astype(np.int64), instance.num_machines, builder
        )
        rng = np.random.default_rng(seed)
        while shop.unfinished():
            expected = arrays_of(env, observation)
            actual = {**example.static_arrays(shop), **shop.arrays()}
            assert actual.keys() == expected.keys()
            for key, array in expected.items():
                assert actual[key].dtype == array.dtype, key
                np.testing.assert_allclose(actual[key], array, rtol=1e-5, atol=1e-6, err_msg=key)
            job = int(rng.choice(shop.legal()))
            shop.schedule(job)
            observation, *_, info = env.step(np.array([job]))
        ends = shop.starts + shop.times
        assert ends.max() == info["final_info"]["objective"][0]


def test_the_documented_program_schedules_like_the_dispatcher(example, policy_files, dispatcher):
    import onnxruntime

    for instance in instances()[3:6]:
        machines, times = instance.machines.astype(np.int64), instance.times.astype(np.int64)
        shop = example.Shop(machines, times, instance.num_machines, "non_delay")
        starts = example.dispatch(onnxruntime.InferenceSession(policy_files.onnx), shop)
        (outcome,) = roll_out(DEFINITION, dispatcher.options, [instance], dispatcher)
        np.testing.assert_array_equal(starts, outcome.solution.starts)


def test_missing_folder_and_text_files_are_refused(tmp_path):
    text = tmp_path / "policy.onnx"
    text.write_text("not an ONNX file", encoding="utf-8")
    for path, message in [
        (tmp_path / "absent.onnx", "cannot be read: No such file"),
        (tmp_path, "cannot be read: Is a directory"),
        (text, "is not an ONNX file that can be run"),
    ]:
        with pytest.raises(OnnxPolicyError, match=message) as caught:
            OnnxDispatcher(path)
        assert str(path) in str(caught.value)
        assert "\n" not in str(caught.value)


def test_truncated_file_is_refused(policy_files, tmp_path):
    content = policy_files.onnx.read_bytes()
    for share in (2, 10):
        (tmp_path / "policy.onnx").write_bytes(content[: len(content) // share])
        with pytest.raises(OnnxPolicyError, match="is not an ONNX file that can be run"):
            OnnxDispatcher(tmp_path / "policy.onnx")


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        (None, "was not exported by dispatchlab"),
        ("{", "is not JSON"),
        ("[]", "metadata format None; expected 1"),
        ('{"format": 99}', "metadata format 99; expected 1"),
        ('{"format": 1, "name": "x", "problem": "job_shop", "options": {}}', "lack the field 'interface'"),
    ],
)
def test_files_of_other_origin_are_refused(tmp_path, metadata, message):
    ports = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1]) for name in ("x", "y")]
    graph = onnx.helper.make_graph([onnx.helper.make_node("Identity", ["x"], ["y"])], "g", ports[:1], ports[1:])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 20)], ir_version=10)
    if metadata is not None:
        onnx.helper.set_model_props(model, {METADATA_KEY: metadata})
    (tmp_path / "other.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(OnnxPolicyError, match=message):
        OnnxDispatcher(tmp_path / "other.onnx")


def test_wrong_arrays_are_named(dispatcher):
    env = make_vector_env("job_shop", 1, sizes=((3, 2),))
    arrays = arrays_of(env, env.reset(seed=0)[0])
    for change, message in [
        ({"context": None}, "needs the input 'context'"),
        ({"surplus": np.zeros(3)}, "has no input 'surplus'"),
        ({"job_dynamic": np.zeros(3)}, r"input 'job_dynamic' has the shape \(3,\)"),
        ({"job_dynamic": np.zeros((3, 2))}, "the arrays do not fit together"),
        ({"action_mask": np.zeros(7, bool)}, "the arrays do not fit together"),
    ]:
        changed = {key: array for key, array in {**arrays, **change}.items() if array is not None}
        with pytest.raises(OnnxPolicyError, match=message):
            dispatcher.run(changed)


def test_another_interface_is_refused(dispatcher):
    env = make_vector_env("job_shop", 1, wait=True)
    observation, _ = env.reset(seed=0)
    with pytest.raises(OnnxPolicyError, match=r"trained on other observations .*wait is only on one side"):
        dispatcher.reset(env, observation)


def test_another_problem_is_a_usage_error(policy_files):
    with pytest.raises(UsageError, match="holds a policy for 'job_shop'; expected one for 'other'"):
        load_onnx_dispatcher(policy_files.onnx, replace(DEFINITION, name="other"))


def test_it_imports_numpy_and_onnxruntime_only():
    program = """
import sys
import numpy, onnxruntime
before = set(sys.modules)
import agents.onnx_dispatcher
import json
new = {name.partition(".")[0] for name in set(sys.modules) - before} - set(sys.stdlib_module_names)
print(json.dumps(sorted(new)))
"""
    printed = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert json.loads(printed.stdout) in (["agents"], ["agents", "numpy"])  # numpy loads parts of itself late


@pytest.mark.slow
def test_it_runs_in_a_bare_virtual_environment(policy_files, dispatcher, tmp_path):
    venv.create(tmp_path / "venv", with_pip=True)
    python = str(tmp_path / "venv" / "bin" / "python")
    wanted = [f"{name}=={importlib.metadata.version(name)}" for name in ("numpy", "onnxruntime")]
    install = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *wanted]
    installed = subprocess.run(install, capture_output=True, text=True, check=False)
    if installed.returncode:
        pytest.skip(f"pip could not install {' '.join(wanted)}: {installed.stderr.strip().splitlines()[-1]}")
    env = make_vector_env("job_shop", 1, sizes=((6, 6),))
    arrays = arrays_of(env, env.reset(seed=0)[0])
    np.savez(tmp_path / "arrays.npz", **arrays)
    program = """
import importlib.util, json, sys
import numpy
from agents.onnx_dispatcher import OnnxDispatcher
assert not any(importlib.util.find_spec(name) for name in ("torch", "gymnasium", "onnx", "numba"))
dispatcher = OnnxDispatcher(sys.argv[1])
scores = dispatcher.logits(dict(numpy.load(sys.argv[2])))
print(json.dumps([dispatcher.name, scores.tolist()]))
"""
    command = [python, "-c", program, str(policy_files.onnx), str(tmp_path / "arrays.npz")]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    name, scores = json.loads(result.stdout)
    assert name == "random_weights"
    np.testing.assert_array_equal(np.array(scores, np.float32), dispatcher.logits(arrays))


@pytest.mark.slow
def test_shipped_files_schedule_taillard_like_their_checkpoints():
    shipped = sorted((ROOT / "checkpoints" / "job_shop").rglob("*.onnx"))
    if not shipped:
        pytest.skip("no ONNX file is shipped under checkpoints/job_shop")
    for path in shipped:
        ours = load_onnx_dispatcher(path, DEFINITION)
        theirs = load_dispatcher(path.parent, DEFINITION)
        shops = DEFINITION.benchmarks["taillard"]().instances
        schedules = (roll_out(DEFINITION, policy.options, shops, policy) for policy in (ours, theirs))
        for our, their in zip(*schedules, strict=True):
            np.testing.assert_array_equal(our.solution.starts, their.solution.starts, err_msg=our.instance.name)
