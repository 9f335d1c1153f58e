"""From logits to probabilities that mean what they say. Fitted on validation only."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating]


def sigmoid(logits: Floats) -> Floats:
    """Element-wise, without overflow for logits of any size."""
    positive = np.exp(-np.abs(logits))
    return np.where(logits >= 0, 1 / (1 + positive), positive / (1 + positive))


def fit_platt(
    logits: Floats, labels: Floats, *, fit_bias: bool = True, steps: int = 50
) -> tuple[float, float]:
    """(scale, bias) so that sigmoid(scale * logit + bias) has the least log loss (Platt 1999).

    Newton's method on the targets Platt smoothed, which keep a separable set from an infinite scale.
    """
    x, y = np.asarray(logits, np.float64), np.asarray(labels, np.float64)
    positives, negatives = y.sum(), (1 - y).sum()
    target = np.where(y > 0, (positives + 1) / (positives + 2), 1 / (negatives + 2))
    columns = np.stack([x, np.ones_like(x)], 1) if fit_bias else x[:, None]
    weights: Floats = np.zeros(columns.shape[1])
    weights[0] = 1.0
    loss = _smoothed_loss(columns @ weights, target)
    for _ in range(steps):
        p = sigmoid(columns @ weights)
        gradient = columns.T @ (p - target)
        curvature = (columns * (p * (1 - p))[:, None]).T @ columns + 1e-9 * np.eye(len(weights))
        step = np.linalg.solve(curvature, gradient)
        weights, new_loss = _descend(columns, target, weights, step, loss)
        if loss - new_loss < 1e-10:
            break
        loss = new_loss
    return float(weights[0]), float(weights[1]) if fit_bias else 0.0


def fit_temperature(logits: Floats, labels: Floats) -> float:
    """The temperature T > 0 so that sigmoid(logit / T) has the least log loss (Guo et al. 2017)."""
    scale, _ = fit_platt(logits, labels, fit_bias=False)
    return 1 / max(scale, 1e-3)


def _smoothed_loss(logits: Floats, target: Floats) -> float:
    return float(np.sum(np.logaddexp(0, logits) - target * logits))


def _descend(
    columns: Floats, target: Floats, weights: Floats, step: Floats, loss: float
) -> tuple[Floats, float]:
    """Halve Newton's step until the loss falls: far from the optimum the full step overshoots."""
    for _ in range(30):
        candidate = weights - step
        new_loss = _smoothed_loss(columns @ candidate, target)
        if new_loss <= loss:
            return candidate, new_loss
        step = step / 2
    return weights, loss
