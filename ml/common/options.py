"""Typed training options with limits, checked before a job is queued; free of torch."""

from __future__ import annotations

import re
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


def named(default: str, pattern: str, help: str) -> Any:
    """A dataclass field for a name that only the training process can look up; its letters are checked."""
    return field(default=default, metadata={"pattern": pattern, "help": help})


def from_params(kind: type[Options], params: Mapping[str, Any]) -> Options:
    """`kind(**params)`. Raises ValueError for an unknown name, a wrong type or a bad value."""
    known = {f.name: f for f in fields(kind)}  # type: ignore[arg-type]
    if unknown := set(params) - set(known):
        raise ValueError(f"Unknown parameters: {', '.join(sorted(unknown))}.")
    for name, value in params.items():
        if "choices" in known[name].metadata:
            _check_choice(name, value, known[name].metadata["choices"])
        elif "pattern" in known[name].metadata:
            _check_name(name, value, known[name].metadata["pattern"])
        else:
            _check_number(name, value, known[name])
    return kind(**params)


def _check_choice(name: str, value: Any, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(choices)}.")


def _check_name(name: str, value: Any, pattern: str) -> None:
    if not isinstance(value, str) or not re.fullmatch(pattern, value):
        raise ValueError(f"{name} is not a name of the kind that is asked for.")


def _check_number(name: str, value: Any, known: Any) -> None:
    whole = known.type == "int"
    if isinstance(value, bool) or not isinstance(value, int if whole else int | float):
        raise ValueError(f"{name} must be a {'whole ' if whole else ''}number.")
    low, high = known.metadata["min"], known.metadata["max"]
    if not low <= value <= high:
        raise ValueError(f"{name} must lie between {low} and {high}.")
