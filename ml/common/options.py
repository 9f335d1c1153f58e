"""Typed training options with limits, checked before a job is queued; free of torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field, fields
from typing import Any, TypeVar

Options = TypeVar("Options")


def option(default: float, low: float, high: float, help: str) -> Any:
    """A dataclass field for a number with its limits and what it means."""
    return field(default=default, metadata={"min": low, "max": high, "help": help})


def choice(default: str, choices: tuple[str, ...], help: str) -> Any:
    """A dataclass field for one of a few names."""
    return field(default=default, metadata={"choices": choices, "help": help})


def from_params(kind: type[Options], params: Mapping[str, Any]) -> Options:
    """`kind(**params)`. Raises ValueError for an unknown name, a wrong type or a bad value."""
    known = {f.name: f for f in fields(kind)}  # type: ignore[arg-type]
    if unknown := set(params) - set(known):
        raise ValueError(f"Unknown parameters: {', '.join(sorted(unknown))}.")
    for name, value in params.items():
        if "choices" in known[name].metadata:
            _check_choice(name, value, known[name].metadata["choices"])
        else:
            _check_number(name, value, known[name])
    return kind(**params)


def _check_choice(name: str, value: Any, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(choices)}.")


def _check_number(name: str, value: Any, known: Any) -> None:
    whole = known.type == "int"
    if isinstance(value, bool) or not isinstance(value, int if whole else int | float):
        raise ValueError(f"{name} must be a {'whole ' if whole else ''}number.")
    low, high = known.metadata["min"], known.metadata["max"]
    if not low <= value <= high:
        raise ValueError(f"{name} must lie between {low} and {high}.")
