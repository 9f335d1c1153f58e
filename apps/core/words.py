"""Numbers with what they count."""

from __future__ import annotations


def counted(n: int, one: str, many: str = "") -> str:
    """`1 alert`, `1,204 alerts`; `many` where it is not `one` with an s."""
    return f"{n:,} {one if n == 1 else many or one + 's'}"
