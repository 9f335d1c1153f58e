"""What was decided, added up by the hour, so that nobody counts millions of rows to look at a page.

All of it can be made again from the decisions and labels: see `services.counts`.
"""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q

from apps.accounts.models import Site
from apps.fraud.models.decisions import Mode, Outcome
from apps.fraud.models.sources import one_of


class CountedHour(models.Model):
    """An hour of all sites by when decisions were made, beginning at `start`: counted last at `counted_at`,
    to be counted again at `due_at`; never, as far as is known, where that is not set."""

    start = models.DateTimeField(primary_key=True)
    counted_at = models.DateTimeField(null=True)
    due_at = models.DateTimeField(null=True)

    class Meta:
        indexes: ClassVar = [models.Index(fields=["-start"], condition=~Q(due_at=None), name="hour_to_count")]

    def __str__(self) -> str:
        return f"hour of {self.start:%Y-%m-%d %H:%M}"


class HourlyCount(models.Model):
    """A site's decisions of an hour, by outcome and mode, and what is known of them.

    Amounts in minor units of the reporting currency. `late`: came long after it happened; `too_old`: beyond
    the longest window. `frauds` and `goods`: by the last word of whoever spoke; `disposed_*`: alerts, by an
    analyst's.
    """

    site = models.ForeignKey(Site, on_delete=models.CASCADE, related_name="+", db_index=False)
    hour = models.DateTimeField()
    outcome = models.CharField(max_length=7, choices=Outcome.choices)
    mode = models.CharField(max_length=10, choices=Mode.choices)
    n = models.PositiveBigIntegerField()
    amount_minor = models.BigIntegerField()
    alerts = models.PositiveBigIntegerField()
    deadline_hits = models.PositiveBigIntegerField()
    late = models.PositiveBigIntegerField()
    too_old = models.PositiveBigIntegerField()
    frauds = models.PositiveBigIntegerField(default=0)
    fraud_minor = models.BigIntegerField(default=0)
    frauds_alerted = models.PositiveBigIntegerField(default=0)
    fraud_alerted_minor = models.BigIntegerField(default=0)
    goods = models.PositiveBigIntegerField(default=0)
    good_minor = models.BigIntegerField(default=0)
    disposed_frauds = models.PositiveBigIntegerField(default=0)
    disposed_goods = models.PositiveBigIntegerField(default=0)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["hour", "site", "outcome", "mode"], name="counted_once"),
            models.CheckConstraint(condition=one_of("outcome", Outcome), name="counted_outcome_known"),
            models.CheckConstraint(condition=one_of("mode", Mode), name="counted_mode_known"),
        ]

    def __str__(self) -> str:
        return f"{self.outcome} by {self.mode} in the hour of {self.hour}"


class HourlyLatency(models.Model):
    """How many decisions of a site and hour took how long: `counts` by bin (`ml.fraud.latency`)."""

    site = models.ForeignKey(Site, on_delete=models.CASCADE, related_name="+", db_index=False)
    hour = models.DateTimeField()
    counts = models.JSONField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["hour", "site"], name="latency_counted_once")
        ]

    def __str__(self) -> str:
        return f"latency in the hour of {self.hour}"


class HourlyDrift(models.Model):
    """Where a version's inputs and scores of an hour lie in the bins of its own reference.

    Of a sample of `n`: little-endian int32 (f, BINS) in the order of the reference (`ml.fraud.drift`).
    """

    site = models.ForeignKey(Site, on_delete=models.CASCADE, related_name="+", db_index=False)
    hour = models.DateTimeField()
    artefact_hash = models.CharField(max_length=64)
    n = models.PositiveIntegerField()
    counts = models.BinaryField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["hour", "site", "artefact_hash"], name="drift_counted_once")
        ]

    def __str__(self) -> str:
        return f"drift in the hour of {self.hour}"


class CountMark(models.Model):
    """One row: up to which label and alert the hours they are about were marked to be counted again."""

    label_id = models.BigIntegerField(default=0)
    alert_id = models.BigIntegerField(default=0)

    def __str__(self) -> str:
        return f"up to label {self.label_id}, alert {self.alert_id}"
