"""Transactions as they came, the keys that make sending again harmless, and the shards."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q

from apps.fraud.models.sources import Source, one_of

SHARDS = 16
AMOUNT_MAX_MINOR = 10**12


class EventType(models.TextChoices):
    AUTHORIZATION = "authorization"
    ADVICE = "advice"
    REVERSAL = "reversal"
    PARTIAL_REVERSAL = "partial_reversal"
    REFUND = "refund"


# What happened is scored; what takes a payment back is only recorded.
DECIDED_TYPES = frozenset({EventType.AUTHORIZATION, EventType.ADVICE})
TAKES_BACK = frozenset(EventType) - DECIDED_TYPES


class EntryMode(models.TextChoices):
    CHIP = "chip"
    CONTACTLESS = "contactless"
    MAGSTRIPE = "magstripe"
    MANUAL = "manual"
    ECOMMERCE = "ecommerce"
    ON_FILE = "on_file"
    UNKNOWN = "unknown"


class Channel(models.TextChoices):
    POS = "pos", "in store"
    ECOM = "ecom", "online"
    MOTO = "moto", "mail or telephone"
    ATM = "atm", "cash machine"
    UNKNOWN = "unknown", "channel unknown"


class TransactionStatus(models.TextChoices):
    PENDING = "pending"
    DECIDED = "decided"
    NOT_APPLICABLE = "not_applicable"
    PARKED = "parked"


DECIDED = Q(status=TransactionStatus.DECIDED.value)


class Transaction(models.Model):
    """One event as it was sent. Never changed after it is stored, but for its status."""

    # Without an index of its own: all of a source is never what is looked for.
    source = models.ForeignKey(Source, on_delete=models.PROTECT, related_name="transactions", db_index=False)
    event_id = models.CharField(max_length=128)
    type = models.CharField(max_length=16, choices=EventType.choices)
    occurred_at = models.DateTimeField()
    card_token = models.CharField(max_length=128)
    amount_minor = models.BigIntegerField()
    amount_reporting_minor = models.BigIntegerField()
    currency = models.CharField(max_length=3)
    # The rate the reporting amount was made with, so that replaying does not depend on today's table;
    # no date where the built-in rates served.
    fx_rate = models.DecimalField(max_digits=24, decimal_places=12, default=1)
    fx_date = models.DateField(null=True, blank=True)
    merchant_id = models.CharField(max_length=128)
    terminal_id = models.CharField(max_length=128)
    mcc = models.CharField(max_length=4)
    country = models.CharField(max_length=2)
    entry_mode = models.CharField(max_length=11, choices=EntryMode.choices)
    channel = models.CharField(max_length=7, choices=Channel.choices)
    device_id = models.CharField(max_length=128, blank=True)
    ip = models.GenericIPAddressField(null=True, blank=True)
    latitude = models.FloatField(null=True, blank=True)
    longitude = models.FloatField(null=True, blank=True)
    network_reference = models.CharField(max_length=128, blank=True)
    original_event_id = models.CharField(max_length=128, blank=True)
    scheme = models.CharField(max_length=32, blank=True)
    bin = models.CharField(max_length=8, blank=True)
    issuer_country = models.CharField(max_length=2, blank=True)
    funding = models.CharField(max_length=32, blank=True)
    auth_response = models.CharField(max_length=32, blank=True)
    avs_result = models.CharField(max_length=32, blank=True)
    cvv_result = models.CharField(max_length=32, blank=True)
    three_ds = models.JSONField(null=True, blank=True)
    sca_exemption = models.CharField(max_length=32, blank=True)
    initiator = models.CharField(max_length=3, blank=True)

    duplicate_of = models.ForeignKey(
        "self", on_delete=models.PROTECT, null=True, blank=True, related_name="repeats"
    )
    received_at = models.DateTimeField()
    shard = models.PositiveSmallIntegerField()
    status = models.CharField(max_length=14, choices=TransactionStatus.choices)
    attempts = models.PositiveSmallIntegerField(default=0)
    retry_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(amount_minor__gte=0, amount_minor__lte=AMOUNT_MAX_MINOR), name="amount_in_range"
            ),
            models.CheckConstraint(condition=Q(amount_reporting_minor__gte=0), name="reporting_not_negative"),
            models.CheckConstraint(condition=one_of("type", EventType), name="event_type_known"),
            models.CheckConstraint(condition=one_of("entry_mode", EntryMode), name="entry_mode_known"),
            models.CheckConstraint(condition=one_of("channel", Channel), name="channel_known"),
            models.CheckConstraint(condition=one_of("status", TransactionStatus), name="status_known"),
            models.CheckConstraint(condition=Q(shard__lt=SHARDS), name="shard_in_range"),
            models.CheckConstraint(condition=Q(mcc__regex=r"^[0-9]{4}$"), name="mcc_four_digits"),
            models.CheckConstraint(condition=Q(currency__regex=r"^[A-Z]{3}$"), name="currency_three_letters"),
            models.CheckConstraint(condition=Q(country__regex=r"^[A-Z]{2}$"), name="country_two_letters"),
            models.CheckConstraint(
                condition=Q(latitude=None) | Q(latitude__gte=-90, latitude__lte=90), name="latitude_in_range"
            ),
            models.CheckConstraint(
                condition=Q(longitude=None) | Q(longitude__gte=-180, longitude__lte=180),
                name="longitude_in_range",
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=["id"], condition=Q(status="pending"), name="pending_by_age"),
            models.Index(fields=["id"], condition=Q(status="parked"), name="parked_transactions"),
            models.Index(fields=["card_token", "occurred_at"], name="card_timeline"),
            models.Index(
                fields=["source", "network_reference"],
                condition=~Q(network_reference=""),
                name="by_network_reference",
            ),
            # What an analyst looks for beside an alert. A row is in them once, when it is decided: as soon as
            # it is stored it would be twice, for PostgreSQL enters a row anew whose status changes.
            models.Index(fields=["merchant_id", "occurred_at"], condition=DECIDED, name="merchant_events"),
            models.Index(fields=["terminal_id", "occurred_at"], condition=DECIDED, name="terminal_events"),
            models.Index(
                fields=["device_id", "occurred_at"],
                condition=DECIDED & ~Q(device_id=""),
                name="device_events",
            ),
            models.Index(
                fields=["ip", "occurred_at"], condition=DECIDED & Q(ip__isnull=False), name="ip_events"
            ),
        ]

    def __str__(self) -> str:
        return f"transaction {self.pk}"


class EventKey(models.Model):
    """An event's id and the hash of its body, kept for ever: what makes sending again harmless.

    A table of its own and narrow, so that it can stay whole when the transactions no longer can.
    """

    transaction = models.OneToOneField(
        Transaction, on_delete=models.PROTECT, primary_key=True, related_name="event_key"
    )
    source = models.ForeignKey(Source, on_delete=models.PROTECT, related_name="+", db_index=False)
    event_id = models.CharField(max_length=128)
    body_sha256 = models.CharField(max_length=64)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["source", "event_id"], name="event_key_once")
        ]

    def __str__(self) -> str:
        return f"key of transaction {self.transaction_id}"


class ShardLock(models.Model):
    """One row a shard; who holds it decides that shard's transactions.

    `late_retry_at`: what waits for the model is not looked at before then, for it could not be read.
    """

    number = models.PositiveSmallIntegerField(primary_key=True)
    late_retry_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"shard {self.number}"
