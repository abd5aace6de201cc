"""Pictures and exports say what the modes do."""

import numpy as np
import pytest

from envs.binary_offload.export import modes_json, modes_rows
from envs.binary_offload.render import frame_html, frame_text, picture_of
from envs.binary_offload.types import BinaryOffloadInstance, Modes
from envs.binary_offload.verify import best_frame

INSTANCE = BinaryOffloadInstance("a<b", [4e-6, 1e-6, 8e-6], [1.0, 2.0, 1.0])
MODES = Modes(np.array([True, False, True]))


def test_rates_of_devices_add_up():
    picture = picture_of(INSTANCE, MODES)
    assert picture.rates.sum() == pytest.approx(picture.rate, rel=1e-12)
    assert picture.charging + picture.uplinks.sum() == pytest.approx(1.0)


def test_text_has_the_frame_to_scale():
    lines = frame_text(INSTANCE, MODES).splitlines()
    _, charging, uplinks = best_frame(INSTANCE, MODES)
    frame = lines[1].strip("[]")
    assert len(frame) == 60
    assert frame.count("C") == round(60 * charging)
    assert frame.count("2") == pytest.approx(60 * uplinks[2], abs=1)
    assert "1" not in frame
    assert [line.split()[1] for line in lines[2:]] == ["edge", "local", "edge"]
    assert frame_text(INSTANCE, MODES, settled=False) != frame_text(INSTANCE, MODES)


def test_chart_names_every_device_and_escapes():
    chart = frame_html(INSTANCE, MODES)
    assert "a&lt;b" in chart
    assert "a<b" not in chart
    assert chart.count("<rect") == 1 + 2 + 3
    assert "device 1 local" in chart


def test_exports():
    rate, charging, uplinks = best_frame(INSTANCE, MODES)
    rows = modes_rows(INSTANCE, MODES)
    assert [row["offloads"] for row in rows] == [1, 0, 1]
    assert [row["uplink_share"] for row in rows] == uplinks
    assert uplinks[1] == 0.0
    written = modes_json(INSTANCE, MODES)
    assert (written["computation_rate"], written["charging_share"], written["devices"]) == (rate, charging, rows)
