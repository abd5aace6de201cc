import numpy as np
import pytest

from envs.serving.execution import Execution
from envs.serving.types import Replica, ServingInstance, make_requests

CONSTANT = Execution(a=10.0, p=1.0)
"""Ten milliseconds an iteration, whatever is in it."""


@pytest.fixture
def make_instance():
    """Builds an instance on one replica whose iterations take ten milliseconds."""

    def make(arrival, prompt, output, *, kv_blocks=100, execution=CONSTANT, replicas=1, **columns):
        engines = tuple(Replica(f"engine{k}", execution, kv_blocks, 4) for k in range(replicas))
        return ServingInstance("tiny", engines, make_requests(np.array(arrival, float), prompt, output, **columns))

    return make
