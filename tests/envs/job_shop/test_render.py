"""Gantt charts: everything scheduled is drawn, nothing comes from elsewhere."""

import re
import subprocess
import sys
from html.parser import HTMLParser

import numpy as np
import pytest

from envs.job_shop.constructive import insa
from envs.job_shop.generators import uniform
from envs.job_shop.render import gantt_array, gantt_figure, gantt_html, gantt_text
from envs.job_shop.types import JobShopInstance, Schedule

TINY = JobShopInstance("tiny", np.array([[0, 1], [1, 0]]), np.array([[3, 2], [4, 1]]), 2)
TINY_SCHEDULE = Schedule(np.array([[0, 4], [0, 4]]))


class Elements(HTMLParser):
    """Collects start tags and complains about elements that are not closed."""

    def __init__(self, text):
        super().__init__()
        self.found = []
        self.open = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))
        self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def drawn_operations(text):
    """Reads (job, operation, machine, start, end) back from the fragment."""
    job = None
    operations = []
    for tag, attributes in Elements(text).found:
        if tag == "g":
            job = int(attributes["data-job"])
        elif tag == "rect":
            keys = ("operation", "machine", "start", "end")
            operations.append((job, *(int(attributes[f"data-{key}"]) for key in keys)))
    return operations


def test_html_contains_every_operation():
    instance = uniform(15, 15, np.random.default_rng(1))
    starts = insa()(instance).solution.starts
    ends = starts + instance.times
    expected = [
        (job, operation, instance.machines[job, operation], starts[job, operation], ends[job, operation])
        for job, operation in np.ndindex(*starts.shape)
    ]
    assert drawn_operations(gantt_html(instance, Schedule(starts))) == expected


def test_html_leaves_out_what_is_not_scheduled():
    text = gantt_html(TINY, Schedule(np.array([[0, -1], [0, 4]])))
    assert drawn_operations(text) == [(0, 0, 0, 0, 3), (1, 0, 1, 0, 4), (1, 1, 0, 4, 5)]
    assert "3 of 4 operations, latest end 5" in text


def test_html_places_bars_to_scale():
    bars = [attributes for tag, attributes in Elements(gantt_html(TINY, TINY_SCHEDULE)).found if tag == "rect"]
    lefts = [float(bar["x"]) for bar in bars]
    widths = [float(bar["width"]) for bar in bars]
    assert widths == pytest.approx([width / 6 * 1000 for width in (3, 2, 4, 1)], abs=0.01)
    assert np.subtract(lefts, lefts[0]) == pytest.approx([start / 6 * 1000 for start in (0, 4, 0, 4)], abs=0.02)


def test_html_is_self_contained_and_without_ids():
    text = gantt_html(TINY, TINY_SCHEDULE)
    assert not re.search(r"https?:|//|@import|url\(", text)
    for _, attributes in Elements(text).found:
        assert not {"id", "src", "href", "xlink:href"} & attributes.keys()


def test_html_escapes_the_name():
    instance = JobShopInstance('<b>"x"&', TINY.machines, TINY.times, 2)
    text = gantt_html(instance, TINY_SCHEDULE)
    assert "<b>" not in text
    assert "&lt;b&gt;&quot;x&quot;&amp;" in text


def test_figure_draws_each_operation_on_its_machine():
    figure = gantt_figure(TINY, TINY_SCHEDULE)
    axes = figure.axes[0]
    boxes = [
        (path.vertices[:, 0].min(), path.vertices[:, 0].max(), round(path.vertices[:, 1].mean()))
        for collection in axes.collections
        for path in collection.get_paths()
    ]
    assert sorted(boxes) == [(0, 3, 0), (0, 4, 1), (4, 5, 0), (4, 6, 1)]
    assert axes.get_xlabel() == "time"
    assert axes.get_ylabel() == "machine"
    assert axes.get_title() == "tiny: 2 jobs, 2 machines, makespan 6"
    assert [list(line.get_xdata()) for line in axes.lines] == [[6, 6]]


def test_figure_leaves_pyplot_alone():
    """In a fresh interpreter, drawing does not even import pyplot."""
    code = (
        "import numpy as np, sys\n"
        "from envs.job_shop.render import gantt_array\n"
        "from envs.job_shop.types import JobShopInstance, Schedule\n"
        "one = np.ones((1, 1), int)\n"
        "gantt_array(JobShopInstance('one', 0 * one, one, 1), Schedule(0 * one))\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_array_shows_progress_at_constant_size():
    nothing = gantt_array(TINY, Schedule(np.full((2, 2), -1)))
    everything = gantt_array(TINY, TINY_SCHEDULE)
    assert nothing.dtype == everything.dtype == np.uint8
    assert nothing.shape == everything.shape
    assert nothing.shape[2] == 3
    assert (nothing != everything).any(axis=2).mean() > 0.2  # the bars cover a good part of the picture


def test_array_of_a_large_instance():
    instance = uniform(100, 20, np.random.default_rng(0))
    picture = gantt_array(instance, insa()(instance).solution)
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 100  # one colour for each job


def test_text_by_hand():
    assert gantt_text(TINY, TINY_SCHEDULE).splitlines() == [
        "tiny: 2 jobs, 2 machines, makespan 6 (one column = 1)",
        "M0 000.1.",
        "M1 111100",
        "   0",
    ]


def test_text_keeps_to_its_width():
    instance = uniform(12, 11, np.random.default_rng(0))
    lines = gantt_text(instance, insa()(instance).solution, width=60).splitlines()
    assert len(lines) == 13
    assert all(len(line) <= 4 + 60 for line in lines[1:-1])
    assert lines[11].startswith("M10 ")
    assert "b" in "".join(lines[1:-1])  # job 11


def test_operations_of_time_zero_are_drawn():
    instance = JobShopInstance("zero", np.array([[0], [0]]), np.array([[0], [2]]), 1)
    schedule = Schedule(np.array([[0], [0]]))
    assert len(drawn_operations(gantt_html(instance, schedule))) == 2
    assert gantt_text(instance, schedule).splitlines()[1] == "M0 11"
    assert sum(len(collection.get_paths()) for collection in gantt_figure(instance, schedule).axes[0].collections) == 3
