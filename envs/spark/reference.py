"""The execution that fairness is measured against."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from envs.spark.env import Spark, SparkConfig, fit
from envs.spark.rules import RULES
from envs.spark.types import SparkInstance, Trace


@lru_cache(maxsize=64)
def ujf_trace(instance: SparkInstance) -> Trace:
    """Returns the execution under the rule ``ujf``, one task a decision; the last instances are remembered."""
    spark = Spark(SparkConfig(**fit([instance])))
    state = spark.allocate(1)
    spark.load(state, 0, instance)
    active = np.ones(1, np.bool_)
    while not state.done[0]:
        priority = RULES["ujf"].priority(state)
        spark.step(state, np.where(state.mask, priority, np.inf).argmin(axis=1), active)
    return spark.solution(state, 0)
