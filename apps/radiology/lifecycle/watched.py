"""What is watched of the film model in service."""

from __future__ import annotations

from apps.modelops.common.watched import Measure, Unit, Worse

READS = "By committed reads of 90 days, mean over findings; held against the version's own test."
MEASURES = (
    Measure(
        "auc", "AUC by reads", READS, Unit.NUMBER, Worse.BELOW, 0.05, enough=20, against_training=True,
    ),
    Measure(
        "sensitivity", "Sensitivity by reads", READS, Unit.SHARE, Worse.BELOW, 0.1, enough=20,
        against_training=True,
    ),
    Measure(
        "specificity", "Specificity by reads", READS, Unit.SHARE, Worse.BELOW, 0.1, enough=20,
        against_training=True,
    ),
    Measure(
        "brier", "Brier score by reads", f"{READS} Lower is better.", Unit.NUMBER, Worse.ABOVE, 0.05,
        enough=50, against_training=True,
    ),
    Measure(
        "ece", "Calibration error by reads", f"{READS} Lower is better.", Unit.NUMBER, Worse.ABOVE, 0.1,
        enough=100, against_training=True,
    ),
    Measure(
        "unusual", "Films unlike the training films",
        "By the distance of the network's features: beyond what one validation film in a hundred exceeds.",
        Unit.SHARE, Worse.ABOVE, 0.05, enough=50,
    ),
    Measure(
        "view_mix", "Shift of the views",
        "Share of a week's films that would need another view to be mixed as the training films.",
        Unit.SHARE, Worse.ABOVE, 0.3, enough=100,
    ),
    Measure(
        "age_mix", "Shift of the ages", "Likewise, by age band.", Unit.SHARE, Worse.ABOVE, 0.3, enough=100,
    ),
    Measure(
        "sex_mix", "Shift of the sexes", "Likewise, by sex.", Unit.SHARE, Worse.ABOVE, 0.3, enough=100,
    ),
    Measure(
        "modality_mix", "Shift of the modalities", "Likewise, by DICOM modality (CR, DX).",
        Unit.SHARE, Worse.ABOVE, 0.3, enough=100,
    ),
    Measure(
        "maker_mix", "Shift of the makers", "Likewise, by who made the machine.",
        Unit.SHARE, Worse.ABOVE, 0.3, enough=100,
    ),
    Measure(
        "volume", "Studies of 24 hours, of the usual",
        "Over the mean of the same 24 hours of the four weeks before.",
        Unit.SHARE, Worse.BELOW, 0.3, most=10, enough=40,
    ),
    Measure(
        "latency", "From receipt to findings", "Of 95 of 100 films of 24 hours, no longer than this.",
        Unit.SECONDS, Worse.ABOVE, 300, most=86_400, enough=20,
    ),
    Measure(
        "cost", "Processor time for a film", "Of the workers that judge films, as long as the network runs.",
        Unit.SECONDS, Worse.ABOVE, None, most=3600, enough=0,
    ),
)  # fmt: skip
