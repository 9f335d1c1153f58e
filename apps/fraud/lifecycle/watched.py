"""What is watched of the fraud model in service."""

from __future__ import annotations

from apps.modelops.common.watched import Measure, Unit, Worse

MATURED = "By payments of 60 to 150 days ago, whose truth is known by now; against the version's own test."
MEASURES = (
    Measure(
        "precision", "Precision of alerts",
        "Of the last 200 of its alerts that an analyst called fraud or legitimate, the share of fraud.",
        Unit.SHARE, Worse.BELOW, 0.05, enough=30,
    ),
    Measure(
        "auc", "AUC by matured labels", MATURED, Unit.NUMBER, Worse.BELOW, 0.05, enough=20,
        against_training=True,
    ),
    Measure(
        "ap", "Average precision by matured labels",
        f"{MATURED} How high it is depends on how rare fraud is.", Unit.NUMBER, Worse.BELOW, None, enough=20,
        against_training=True,
    ),
    Measure(
        "brier", "Brier score by matured labels", f"{MATURED} Lower is better.", Unit.NUMBER, Worse.ABOVE,
        0.01, enough=1000, against_training=True,
    ),
    Measure(
        "ece", "Calibration error by matured labels", f"{MATURED} Lower is better.", Unit.NUMBER,
        Worse.ABOVE, 0.02, enough=1000, against_training=True,
    ),
    Measure(
        "score_drift", "Drift of the score",
        "Population stability index of 24 hours, over what 99 of 100 validation days stay below.",
        Unit.NUMBER, Worse.ABOVE, 1.0, most=100, enough=200,
    ),
    Measure(
        "input_drift", "Features that drift",
        "The share of features whose stability index is beyond its limit; one in a hundred is by chance.",
        Unit.SHARE, Worse.ABOVE, 0.1, enough=200,
    ),
    Measure(
        "degraded", "Decided without model or history", "Of the payments of 24 hours.", Unit.SHARE,
        Worse.ABOVE, 0.02, enough=100,
    ),
    Measure(
        "alert_rate", "Alerts of all payments", "Of the payments of 24 hours.", Unit.SHARE, Worse.ABOVE,
        None, enough=200,
    ),
    Measure(
        "volume", "Payments of 24 hours, of the usual",
        "Over the mean of the same 24 hours of the four weeks before.",
        Unit.SHARE, Worse.BELOW, 0.3, most=10, enough=400,
    ),
    Measure(
        "latency", "From receipt to decision", "Of 99 of 100 payments of 24 hours, no longer than this.",
        Unit.MILLISECONDS, Worse.ABOVE, 2000, most=600_000, enough=100,
    ),
    Measure(
        "cost", "Processor time for a payment", "The score alone, measured on this host once for a version.",
        Unit.MILLISECONDS, Worse.ABOVE, None, most=60_000, enough=0,
    ),
)  # fmt: skip
