"""Gantt charts and Chrome's trace: everything that ran is drawn, data is on its way, nothing comes from elsewhere."""

import json
import re
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

from envs.soc_dag.render import chrome_trace, gantt_array, gantt_figure, gantt_html, gantt_text
from envs.soc_dag.static.heft import heft
from envs.soc_dag.types import Arrivals, JobType, SocInstance, make_chip, static_trace

CHIP = make_chip("two", ("p", "q"))
FORK = JobType("fork", ("a", "b", "c"), [[4, 6], [3, 3], [2, 2]], [0, 0], [1, 2], [2, 0])
INSTANCE = SocInstance("tiny", CHIP, (FORK,))
# b gets its data on q at 6; c runs on p, where the data of volume 0 is at once.
TRACE = static_trace(INSTANCE, [np.array([0, 1, 0])], [np.array([0.0, 6.0, 4.0])])


class Elements(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.found, self.open = [], []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))
        self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def drawn(text):
    keys = ("job", "task", "processor", "start", "end")
    return [tuple(float(a[f"data-{key}"]) for key in keys) for tag, a in Elements(text).found if tag == "rect"]


def test_html_contains_every_run(vector_instance):
    instance = vector_instance("topcuoglu_10x3")
    trace = heft(instance)
    expected = np.stack([trace.job, trace.task, trace.processor, trace.start, trace.end], axis=1)
    assert np.array_equal(drawn(gantt_html(instance, trace)), expected)


def test_html_places_runs_and_transfers_to_scale():
    found = Elements(gantt_html(INSTANCE, TRACE)).found
    bars = [a for tag, a in found if tag == "rect"]
    lefts = np.array([float(bar["x"]) for bar in bars])
    assert [float(bar["width"]) for bar in bars] == pytest.approx([width / 9 * 1000 for width in (4, 3, 2)], abs=0.01)
    assert lefts - lefts[0] == pytest.approx([0, 6 / 9 * 1000, 4 / 9 * 1000], abs=0.02)
    (line,) = [a for tag, a in found if tag == "line" and a["class"] == "transfer"]
    assert [float(line[x]) - lefts[0] for x in ("x1", "x2")] == pytest.approx([4 / 9 * 1000, 6 / 9 * 1000], abs=0.02)
    assert float(line["y1"]) < float(line["y2"])


def test_html_is_self_contained():
    text = gantt_html(INSTANCE, TRACE)
    assert not re.search(r"https?:|//|@import|url\(|<script", text)
    for _, attributes in Elements(text).found:
        assert not {"id", "src", "href", "xlink:href"} & attributes.keys()


def test_html_escapes_names():
    chip = make_chip('<i>"&', ("<p>", "q"))
    job = replace(FORK, tasks=("<a>", "b", "c"))
    text = gantt_html(SocInstance("<b>", chip, (job,)), TRACE)
    assert not re.search("<[bapi]>", text)
    assert "&lt;b&gt;" in text
    assert "&lt;a&gt;" in text


def test_lost_runs_are_marked():
    lost = replace(TRACE, lost=np.array([False, False, True]))
    assert [a["class"] for tag, a in Elements(gantt_html(INSTANCE, lost)).found if tag == "rect"] == [
        "run",
        "run",
        "lost",
    ]


def test_figure_draws_runs_and_transfers():
    axes = gantt_figure(INSTANCE, TRACE).axes[0]
    assert axes.get_title() == "tiny: 2 PEs, 1 of 1 jobs completed, latest end 9 us"
    assert axes.get_xlabel() == "time (us)"
    assert [label.get_text() for label in axes.get_yticklabels()] == ["p", "q"]
    (segment,) = axes.collections[0].get_segments()
    assert segment.tolist() == [[4, 0], [6, 1]]
    boxes = [
        (path.vertices[:, 0].min(), path.vertices[:, 0].max(), round(path.vertices[:, 1].mean()))
        for collection in axes.collections[1:]
        for path in collection.get_paths()
    ]
    assert sorted(boxes) == [(0, 4, 0), (4, 6, 0), (6, 9, 1)]


def test_shared_memory_transfers_end_after_the_mapping():
    instance = SocInstance(
        "memory", make_chip("two", ("p", "q"), memory_bandwidth=2.0), (FORK,), transfer="shared_memory"
    )
    trace = replace(TRACE, mapped=np.array([0.0, 5.0, 4.0]))
    (segment,) = gantt_figure(instance, trace).axes[0].collections[0].get_segments()
    assert segment.tolist() == [[4, 0], [6, 1]]


def test_array_has_one_size_for_an_instance():
    nothing = replace(
        TRACE,
        **{name: getattr(TRACE, name)[:0] for name in ("job", "task", "processor", "mapped", "start", "end", "lost")},
    )
    nothing = replace(nothing, completed=np.array([np.nan]))
    empty, full = gantt_array(INSTANCE, nothing), gantt_array(INSTANCE, TRACE)
    assert empty.dtype == full.dtype == np.uint8
    assert empty.shape == full.shape
    assert empty.shape[2] == 3
    assert (empty != full).any(axis=2).mean() > 0.2


def test_text_by_hand():
    assert gantt_text(INSTANCE, TRACE, width=9).splitlines() == [
        "tiny: 2 PEs, 1 of 1 jobs completed, latest end 9 us (one column = 1 us)",
        "p 000022...",
        "q ......111",
        "  0",
    ]


def test_text_of_several_jobs_and_of_a_stream():
    two = replace(INSTANCE, arrivals=Arrivals(releases=((0, 0.0), (0, 0.0))))
    text = gantt_text(two, heft(two), width=50)
    assert {"0", "1"} == set("".join(line[2:] for line in text.splitlines()[1:3])) - {"."}
    stream = replace(INSTANCE, arrivals=Arrivals("open", window=100.0), objective="mean_latency")
    lines = gantt_text(stream, TRACE, width=20).splitlines()
    assert lines[0] == "tiny: 2 PEs, 1 of 1 jobs completed, mean latency 9 us (one column = 5 us)"
    assert lines[1] == "p 00" + "." * 18


def test_drawing_leaves_pyplot_alone():
    """In a fresh interpreter, drawing does not even import pyplot."""
    code = (
        "import numpy as np, sys\n"
        "from envs.soc_dag.render import gantt_array\n"
        "from envs.soc_dag.types import JobType, SocInstance, make_chip, static_trace\n"
        "job = JobType('j', ('a',), [[1]], [], [], [])\n"
        "instance = SocInstance('one', make_chip('one', ('p',)), (job,))\n"
        "gantt_array(instance, static_trace(instance, [np.array([0])], [np.array([0.0])]))\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_chrome_trace():
    events = json.loads(json.dumps(chrome_trace(replace(INSTANCE, time_unit="ms"), TRACE), allow_nan=False))
    names = [event["args"]["name"] for event in events if event["ph"] == "M"]
    assert names == ["two", "p", "q"]
    runs = [(e["name"], e["tid"], e["ts"], e["dur"]) for e in events if e["ph"] == "X"]
    assert runs == [("a", 0, 0.0, 4000.0), ("b", 1, 6000.0, 3000.0), ("c", 0, 4000.0, 2000.0)]
    assert [(e["ph"], e["tid"], e["ts"]) for e in events if e["ph"] in "sf"] == [("s", 0, 4000.0), ("f", 1, 6000.0)]
    assert [(e["ph"], e["name"], e["ts"]) for e in events if e["ph"] in "be"] == [
        ("b", "job 0: fork", 0.0),
        ("e", "job 0: fork", 9000.0),
    ]
