"""Ties functions to the clauses of the specification that they implement.

    @clause("8.6.1")
    def dequantise_uniform(...): ...

The registry serves the documentation and the tests, which refuse a clause that ``tables/clauses.toml`` does
not have.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

__all__ = ["clause", "implementations"]

Function = TypeVar("Function", bound=Callable[..., object])

_registry: dict[str, list[Callable[..., object]]] = {}


def clause(number: str) -> Callable[[Function], Function]:
    """Declare that the decorated function implements clause ``number``; the function is unchanged."""

    def register(function: Function) -> Function:
        _registry.setdefault(number, []).append(function)
        return function

    return register


def implementations() -> dict[str, tuple[Callable[..., object], ...]]:
    """Every clause cited so far (by the modules imported so far), with its functions."""
    return {number: tuple(functions) for number, functions in sorted(_registry.items())}
