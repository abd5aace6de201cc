"""Many arrays as one argument of a compiled function, and functions compiled without reference counts.

Passing a ``NamedTuple`` of thirty arrays to a compiled function costs some microseconds a call, for every array is
unpacked anew; that is as much as stepping several lanes. A handle is unpacked once and passes in a fraction of it:

    @njit(cache=True, nogil=True)
    def step(handle: Handle[State], actions: Actions) -> None:
        _step(handle.arrays, actions)

    @kernel
    def _step(state: State, actions: Actions) -> None: ...
"""

from __future__ import annotations

from collections.abc import Callable
from operator import is_
from typing import Any, Generic, TypeVar

from numba import njit
from numba.core import types
from numba.experimental import structref

ArraysT = TypeVar("ArraysT", bound=tuple[Any, ...])
FunctionT = TypeVar("FunctionT", bound=Callable[..., Any])

_CACHED = 4


@structref.register
class _HandleType(types.StructRef):
    """Type of a handle inside compiled code."""


class Handle(structref.StructRefProxy, Generic[ArraysT]):
    """A reference to a tuple of arrays, which compiled functions (they alone) read as ``handle.arrays``.

    The arrays are shared, not copied, and live at least as long as the handle.
    """

    arrays: ArraysT

    def __new__(cls, arrays: ArraysT) -> Handle[ArraysT]:
        """Makes a handle to ``arrays``; outside compiled code this compiles anew in every process."""
        handle: Handle[ArraysT] = _make(arrays)
        return handle


structref.define_constructor(Handle, _HandleType, ["arrays"])  # type: ignore[no-untyped-call]
structref.define_boxing(_HandleType, Handle)  # type: ignore[no-untyped-call]


@njit  # not cached: the cache would name every type that it was compiled for, and not load where one is not there
def _make(arrays: Any) -> Any:
    return Handle(arrays)


def kernel(function: FunctionT) -> FunctionT:
    """Compiles a function that only other compiled functions call and that allocates nothing.

    Numba counts references to every array that a function reads out of a tuple, with an atomic increment and
    decrement where the optimiser cannot prove a pair useless, as in long loop bodies; this took a third of the time of
    the job shop's observation. A function that neither allocates nor keeps an array needs no counts. Division by zero
    gives infinity or NaN, as in NumPy.
    """
    compile_without_counts: Any = njit
    compiled: FunctionT = compile_without_counts(cache=True, nogil=True, error_model="numpy", _nrt=False)(function)
    return compiled


class HandleCache:
    """Makes handles and keeps the last few, so that the arrays of a running environment get theirs once.

    Copies and pickles come out empty, as handles belong to arrays of this process.

    Args:
        make: Makes a handle: `Handle`, or a compiled and cached function of a problem's own that calls it.
    """

    def __init__(self, make: Callable[[Any], Handle[Any]] = Handle) -> None:
        """Starts empty."""
        self._make = make
        self._known: list[tuple[tuple[Any, ...], Handle[Any]]] = []

    def __call__(self, arrays: ArraysT) -> Handle[ArraysT]:
        """Returns the handle to exactly these array objects."""
        for known, handle in self._known:
            if known is arrays or (len(known) == len(arrays) and all(map(is_, known, arrays))):
                return handle
        handle = self._make(arrays)
        self._known = [(arrays, handle), *self._known[: _CACHED - 1]]
        return handle

    def __reduce__(self) -> tuple[type[HandleCache], tuple[Callable[[Any], Handle[Any]]]]:
        """Pickles as an empty cache."""
        return HandleCache, (self._make,)
