"""How far two readers agree beyond chance."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

from ml.common.metrics import Z95


@dataclass(frozen=True, slots=True)
class Agreement:
    """Cohen's kappa of `n` pairs, with its 95 % interval. `kappa` is None where both readers said one thing
    only: then chance alone agrees as well."""

    n: int
    observed: float
    kappa: float | None
    low: float | None = None
    high: float | None = None


def cohen_kappa(both: int, first_only: int, second_only: int, neither: int) -> Agreement:
    """Of pairs that both call present, one alone does, and neither does.

    Cohen 1960; the large-sample variance is that of Fleiss, Cohen and Everitt 1969. The interval is cut to
    -1..1, and has no width where the readers never differ: then n says how little that proves.
    """
    n = both + first_only + second_only + neither
    if n == 0:
        return Agreement(0, 0.0, None)
    p = ((both / n, first_only / n), (second_only / n, neither / n))
    rows = (p[0][0] + p[0][1], p[1][0] + p[1][1])
    columns = (p[0][0] + p[1][0], p[0][1] + p[1][1])
    observed = p[0][0] + p[1][1]
    chance = rows[0] * columns[0] + rows[1] * columns[1]
    if chance == 1:
        return Agreement(n, observed, None)
    kappa = (observed - chance) / (1 - chance)
    spread = Z95 * sqrt(_variance(p, rows, columns, observed, chance) / n)
    return Agreement(n, observed, kappa, max(-1.0, kappa - spread), min(1.0, kappa + spread))


def _variance(
    p: tuple[tuple[float, float], ...], rows: tuple[float, float], columns: tuple[float, float],
    observed: float, chance: float,
) -> float:  # fmt: skip
    """n times the variance of kappa; rounding may take it a hair below zero."""
    agree = sum(p[i][i] * ((1 - chance) - (columns[i] + rows[i]) * (1 - observed)) ** 2 for i in range(2))
    differ = (1 - observed) ** 2 * sum(
        p[i][j] * (columns[i] + rows[j]) ** 2 for i in range(2) for j in range(2) if i != j
    )
    level = (observed * chance - 2 * chance + observed) ** 2
    return max(0.0, (agree + differ - level) / (1 - chance) ** 4)
