"""What is watched of the version in service, the limits it is held to, and the alarms that came of it."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q

from apps.accounts.models import Site, User
from apps.modelops.models.versions import ModelVersion


class WatchReading(models.Model):
    """One measure of the version in service at a site, as it was last read in this hour.

    `value` is empty where too little is known to say it; `n` is how many cases it rests on; `reference` is
    what the version's own test part measured, where it did.
    """

    site = models.ForeignKey(Site, on_delete=models.CASCADE, related_name="+", db_index=False)
    domain = models.CharField(max_length=20)
    measure = models.CharField(max_length=40)
    hour = models.DateTimeField()
    at = models.DateTimeField()
    version = models.ForeignKey(ModelVersion, on_delete=models.PROTECT, related_name="+")
    value = models.FloatField(null=True)
    low = models.FloatField(null=True)
    high = models.FloatField(null=True)
    n = models.PositiveBigIntegerField(default=0)
    reference = models.FloatField(null=True)
    says = models.CharField(max_length=200, blank=True, help_text="Why there is no value, or what it is of.")

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["site", "domain", "measure", "hour"], name="one_reading_an_hour")
        ]

    def __str__(self) -> str:
        return f"{self.measure} of {self.domain} in the hour of {self.hour}"


class HourlyCost(models.Model):
    """Processor seconds that workers spent on a version's answers in an hour, and over how many cases."""

    version = models.ForeignKey(ModelVersion, on_delete=models.CASCADE, related_name="+", db_index=False)
    hour = models.DateTimeField()
    n = models.PositiveBigIntegerField(default=0)
    cpu_s = models.FloatField(default=0.0)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["version", "hour"], name="cost_once_an_hour")
        ]

    def __str__(self) -> str:
        return f"cost of version {self.version_id} in the hour of {self.hour}"


class WatchRound(models.Model):
    """When a domain is looked at next. Whoever moves `due_at` ahead rings for it."""

    domain = models.CharField(max_length=20, primary_key=True)
    due_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"next look at {self.domain}"


class AlarmLimit(models.Model):
    """A site's own limit for one measure, in place of the usual one; empty: no alarm for it."""

    site = models.ForeignKey(Site, on_delete=models.CASCADE, related_name="+", db_index=False)
    domain = models.CharField(max_length=20)
    measure = models.CharField(max_length=40)
    limit = models.FloatField(null=True)
    by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["site", "domain", "measure"], name="one_limit_a_measure")
        ]

    def __str__(self) -> str:
        return f"limit of {self.measure} of {self.domain}"


class Alarm(models.Model):
    """A measure went beyond its limit. `value` is what it was then, `closed_value` what closed it.

    Open until the measure is well within its limit again. Who has seen to it acknowledges it, open or closed.
    """

    site = models.ForeignKey(Site, on_delete=models.PROTECT, related_name="alarms")
    domain = models.CharField(max_length=20)
    measure = models.CharField(max_length=40)
    version = models.ForeignKey(ModelVersion, on_delete=models.PROTECT, related_name="alarms")
    value = models.FloatField()
    limit = models.FloatField()
    sentence = models.CharField(max_length=300)
    opened_at = models.DateTimeField()
    closed_at = models.DateTimeField(null=True)
    closed_value = models.FloatField(null=True)
    acknowledged_by = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")
    acknowledged_at = models.DateTimeField(null=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["site", "domain", "measure"], condition=Q(closed_at=None), name="one_open_alarm"
            ),
            models.CheckConstraint(
                condition=Q(acknowledged_by=None, acknowledged_at=None)
                | Q(acknowledged_by__isnull=False, acknowledged_at__isnull=False),
                name="acknowledged_by_somebody",
            ),
        ]

    def __str__(self) -> str:
        return f"alarm {self.pk}: {self.measure} of {self.domain}"

    @property
    def is_open(self) -> bool:
        return self.closed_at is None


class AlarmReceiver(models.Model):
    """Where a site's alarms are sent, signed with its own secret, which is encrypted at rest."""

    site = models.OneToOneField(Site, on_delete=models.CASCADE, related_name="alarm_receiver")
    url = models.URLField(max_length=500)
    ciphertext = models.BinaryField()
    by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    at = models.DateTimeField()

    def __str__(self) -> str:
        return f"receiver of alarms {self.pk}"


class AlarmNews(models.Model):
    """That an alarm opened or closed, to be sent to its site's receiver; written in the same transaction.

    Due at `due_at` while it is neither delivered nor dead; `due_at` moves ahead before each attempt.
    """

    class Topic(models.TextChoices):
        OPENED = "alarm.opened"
        CLOSED = "alarm.closed"

    alarm = models.ForeignKey(Alarm, on_delete=models.CASCADE, related_name="news")
    topic = models.CharField(max_length=12, choices=Topic.choices)
    due_at = models.DateTimeField()
    attempts = models.PositiveSmallIntegerField(default=0)
    delivered_at = models.DateTimeField(null=True)
    dead_at = models.DateTimeField(null=True)
    status = models.PositiveSmallIntegerField(null=True, help_text="What the receiver answered last.")
    error = models.CharField(max_length=40, blank=True, help_text="Why it answered nothing.")

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["alarm", "topic"], name="alarm_told_once_per_topic")
        ]
        indexes: ClassVar = [
            models.Index(
                fields=["due_at"], condition=Q(delivered_at=None, dead_at=None), name="alarm_news_waiting"
            )
        ]

    def __str__(self) -> str:
        return f"{self.topic} of alarm {self.alarm_id}"
