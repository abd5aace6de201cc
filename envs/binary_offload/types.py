"""What an instance and a solution are: wireless-powered devices that compute at home or at the edge."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from envs.core.errors import UsageError

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

_LEAST_RATIO = 1e-30


@dataclass(frozen=True)
class System:
    """Constants of the access point and of the devices, with the values under which the published draws were solved.

    Attributes:
        harvesting_efficiency: Share of the received energy that a device can use.
        power: Transmit power of the access point, W.
        cycles_per_bit: Processor cycles that a bit of data takes.
        computing_efficiency: Effective capacitance of the processors, J s² / cycle³.
        bandwidth: Bandwidth of the uplink, Hz.
        noise: Noise power at the access point, W.
        overhead: Bits sent for each bit of data.
    """

    harvesting_efficiency: float = 0.7
    power: float = 3.0
    cycles_per_bit: float = 100.0
    computing_efficiency: float = 1e-26
    bandwidth: float = 2e6
    noise: float = 1e-10
    overhead: float = 1.1

    def __post_init__(self) -> None:
        """Checks that every constant is a positive number."""
        for field in fields(self):
            value = getattr(self, field.name)
            if not 0.0 < value < math.inf:
                raise UsageError(f"system.{field.name} is {value}; expected a finite number above 0")

    @property
    def harvested(self) -> float:
        """Power that a device would harvest over a channel of gain 1, W."""
        return self.harvesting_efficiency * self.power

    @property
    def uplink(self) -> float:
        """Bits of data a second and nat of spectral efficiency that the uplink carries."""
        return self.bandwidth / (self.overhead * math.log(2.0))


@dataclass(frozen=True, eq=False)
class BinaryOffloadInstance:
    """Devices with their channels.

    Attributes:
        name: Name for reports.
        gains: ``(devices,)`` channel power gains, the same in both directions, in (0, 1].
        weights: ``(devices,)`` what a bit of each device counts for.
        system: The constants.
        optimal_rate: The largest weighted computation rate, bit/s, where it is known.
    """

    name: str
    gains: Floats
    weights: Floats
    system: System = System()
    optimal_rate: float | None = None

    def __post_init__(self) -> None:
        """Takes sequences for arrays and checks every number."""
        for column in ("gains", "weights"):
            try:
                array = np.array(getattr(self, column), np.float64)
            except (TypeError, ValueError):
                raise UsageError(f"{self.name}: {column} holds something else than numbers") from None
            array.flags.writeable = False
            object.__setattr__(self, column, array)
        if self.gains.ndim != 1 or self.gains.shape != self.weights.shape or not len(self.gains):
            raise UsageError(
                f"{self.name}: gains and weights have shapes {self.gains.shape} and {self.weights.shape}; "
                "expected one number a device in both, and at least one device"
            )
        for device, (gain, weight) in enumerate(zip(self.gains.tolist(), self.weights.tolist(), strict=True)):
            if not 0.0 < gain <= 1.0 or not self.snr(gain) >= _LEAST_RATIO:
                raise UsageError(f"{self.name}: gains[{device}] is {gain}; expected a number above 0, at most 1")
            if not 0.0 < weight < math.inf:
                raise UsageError(f"{self.name}: weights[{device}] is {weight}; expected a finite number above 0")
        if self.optimal_rate is not None and not 0.0 < self.optimal_rate < math.inf:
            raise UsageError(f"{self.name}: optimal_rate is {self.optimal_rate}; expected a finite number above 0")

    def snr(self, gain: float) -> float:
        """Signal-to-noise ratio of an uplink that lasts as long as the charging, for the harvested energy."""
        return self.system.harvested * gain * gain / self.system.noise

    def __eq__(self, other: object) -> bool:
        """Compares everything."""
        return (
            isinstance(other, BinaryOffloadInstance)
            and (self.name, self.system, self.optimal_rate) == (other.name, other.system, other.optimal_rate)
            and np.array_equal(self.gains, other.gains)
            and np.array_equal(self.weights, other.weights)
        )

    def __hash__(self) -> int:
        """Agrees with equality."""
        return hash((self.name, self.gains.tobytes(), self.weights.tobytes()))


@dataclass(frozen=True, eq=False)
class Modes:
    """A solution: the computing mode of every device. The time shares that go with it are the optimal ones.

    Attributes:
        offloads: ``(devices,)`` whether the device offloads; otherwise it computes locally.
    """

    offloads: Flags

    def __eq__(self, other: object) -> bool:
        """Compares the modes."""
        return isinstance(other, Modes) and np.array_equal(self.offloads, other.offloads)

    def __hash__(self) -> int:
        """Agrees with equality."""
        return hash(self.offloads.tobytes())
