"""Settings of planning."""

from __future__ import annotations

from dataclasses import dataclass

from envs.core import UsageError

SEARCHES = ("pilot", "mirror_descent", "gumbel")
OPEN_LOOP = "open_loop"
PLANS = (*SEARCHES, OPEN_LOOP)


@dataclass(frozen=True)
class PlanningConfig:
    """How the next action is chosen, given a policy and a simulator that is the environment itself.

    Attributes:
        plan: "pilot": every candidate is played to its end by the greedy policy, and the best solution seen so far is
            followed (the fortified pilot method: Duin and Voss 1999; Bertsekas, Tsitsiklis and Wu 1997); only where
            the environment draws nothing. "mirror_descent": the action of largest log probability + value /
            ``temperature``, one step of mirror descent anchored at the policy (the update equivalence of Sokota et al.
            2024). "gumbel": sequential halving among candidates drawn without replacement (Danihelka et al. 2022).
            "open_loop": before the episode begins, the best of as many sampled ones in which all goes as expected, then
            followed whatever happens; it has to be asked for, as it neither sees nor reacts to what is drawn.
        simulations: Episodes played for a decision, shared by its candidates; each gets at least one. With "open_loop"
            those of the one plan.
        candidates: Most actions that are looked at: the most probable ones, with "gumbel" drawn ones.
        temperature: Value, in units of reward, that is worth a factor of e in probability: the anchor of
            "mirror_descent" at the policy. Also divides the values of "gumbel".
    """

    plan: str
    simulations: int = 32
    candidates: int = 8
    temperature: float = 0.01

    def __post_init__(self) -> None:
        """Checks the settings."""
        if self.plan not in PLANS:
            raise UsageError(f"plan is {self.plan!r}; expected one of {', '.join(PLANS)}")
        for name in ("simulations", "candidates"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise UsageError(f"{name} is {value}; expected a whole number of at least 1")
        if isinstance(self.temperature, bool | str) or not self.temperature > 0:
            raise UsageError(f"temperature is {self.temperature}; expected a positive number")
