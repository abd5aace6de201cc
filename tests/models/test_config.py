"""Shapes of networks: what is accepted and how a mistake reads."""

from __future__ import annotations

import json

import pytest

from envs.core import UsageError
from models.config import FlatConfig, ModelConfig, network_config


def test_a_config_survives_json():
    config = ModelConfig(convolution="gin", decision="attention", hidden=24, heads=3, encoder_layers=0)
    assert ModelConfig.from_mapping(json.loads(json.dumps(config.to_mapping()))) == config


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"convolution": "gcn"}, "model.convolution is 'gcn'; expected one of gatv2, gin, transformer, alternating"),
        ({"decision": "none"}, "model.decision is 'none'; expected one of pooling, attention"),
        ({"hidden": 0}, "model.hidden is 0; expected at least 1"),
        ({"hidden": "64"}, "model.hidden is '64'; expected a whole number"),
        ({"hidden": True}, "model.hidden is True; expected a whole number"),
        ({"hidden": 2.5}, "model.hidden is 2.5; expected a whole number"),
        ({"hidden": 30, "heads": 4}, "model.heads is 4; expected a divisor of model.hidden, 30"),
        ({"encoder_layers": -1}, "model.encoder_layers is -1; expected at least 0"),
        ({"layers": 2}, "model has no field 'layers'; it has convolution, decision, hidden"),
        ([1], r"model is \[1\]; expected fields by name"),
    ],
)
def test_mistakes_are_named(values, message):
    with pytest.raises(UsageError, match=message):
        ModelConfig.from_mapping(values)


def test_a_float_without_fraction_is_a_whole_number():
    assert ModelConfig.from_mapping({"hidden": 16.0}).hidden == 16


def test_a_flat_shape_survives_json():
    config = FlatConfig((8, 4), {"task": 3})
    assert network_config(json.loads(json.dumps(config.to_mapping()))) == config
    assert network_config({"architecture": "flat"}) == FlatConfig((512, 256), {})
    assert network_config({"hidden": 16}) == ModelConfig(hidden=16)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"architecture": "tree"}, "model.architecture is 'tree'; expected 'flat', or none for graphs"),
        ({"architecture": "flat", "widths": []}, r"model.widths is \[\]; expected a list of whole numbers"),
        ({"architecture": "flat", "widths": [8, 0]}, r"model.widths is \[8, 0\]; expected a list of whole numbers"),
        ({"architecture": "flat", "widths": 8}, "model.widths is 8; expected a list"),
        ({"architecture": "flat", "capacities": {"task": -1}}, "model.capacities is {'task': -1}; expected whole"),
        ({"architecture": "flat", "hidden": 8}, "model has no field 'hidden'; it has widths, capacities"),
    ],
)
def test_mistakes_in_flat_shapes_are_named(values, message):
    with pytest.raises(UsageError, match=message):
        network_config(values)
