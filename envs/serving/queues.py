"""Heaps of requests, kept in rows of the state and ordered by stage, key and number."""

from __future__ import annotations

from typing import Any

from numba import njit


@njit(cache=True, nogil=True)
def before(request: Any, left: int, right: int) -> bool:
    """Says whether a request comes before another: by key, then by number."""
    if request[left].key != request[right].key:
        return request[left].key < request[right].key
    return left < right


@njit(cache=True, nogil=True)
def push(request: Any, heap: Any, size: int, item: int) -> None:
    """Puts a request into the heap of ``size`` requests; the caller counts."""
    place = size
    heap[place] = item
    while place > 0:
        parent = (place - 1) // 2
        if not before(request, heap[place], heap[parent]):
            return
        heap[place], heap[parent] = heap[parent], heap[place]
        place = parent


@njit(cache=True, nogil=True)
def pop(request: Any, heap: Any, size: int) -> int:
    """Takes the first request out of the heap of ``size`` requests; the caller counts."""
    first = heap[0]
    heap[0] = heap[size - 1]
    _sink(request, heap, size - 1, 0)
    return first


@njit(cache=True, nogil=True)
def rebuild(request: Any, heap: Any, size: int) -> None:
    """Restores the order after keys have changed."""
    for place in range(size // 2 - 1, -1, -1):
        _sink(request, heap, size, place)


@njit(cache=True, nogil=True)
def _sink(request: Any, heap: Any, size: int, place: int) -> None:
    while True:
        child = 2 * place + 1
        if child >= size:
            return
        if child + 1 < size and before(request, heap[child + 1], heap[child]):
            child += 1
        if not before(request, heap[child], heap[place]):
            return
        heap[place], heap[child] = heap[child], heap[place]
        place = child
