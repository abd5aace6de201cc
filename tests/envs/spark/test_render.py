"""Gantt charts of executions: a user keeps one hue, and the jobs of a user differ."""

import colorsys
import re

from envs.spark.render import gantt_array, gantt_html, gantt_text
from envs.spark.types import SparkInstance


def test_a_user_has_one_hue_and_jobs_of_a_user_differ_in_shade(cluster):
    jobs = (cluster.one_stage("ann", 0.0, 2.0), cluster.one_stage("bob", 0.0, 3.0), cluster.one_stage("ann", 0.0, 1.0))
    instance = SparkInstance("three", 3, jobs)
    trace = cluster.run(instance, "fifo")
    page = gantt_html(instance, trace)
    fills = dict(zip(re.findall(r"<title>(\w+, job \d)", page), re.findall(r'fill="#(\w{6})"', page), strict=True))
    assert len(set(fills.values())) == 3
    hues = {}
    for told, fill in fills.items():
        red, green, blue = (int(fill[at : at + 2], 16) / 255 for at in (0, 2, 4))
        hues.setdefault(told.split(",")[0], []).append(colorsys.rgb_to_hsv(red, green, blue)[0])
    (first, second), (other,) = hues["ann"], hues["bob"]
    assert abs(first - second) < 0.01
    assert abs(first - other) > 0.1
    assert [line.split()[1][0] for line in gantt_text(instance, trace, 3).splitlines()[1:]] == ["0", "1", "2"]
    picture = gantt_array(instance, trace)
    assert picture.shape[2] == 3
    assert picture.std() > 0
