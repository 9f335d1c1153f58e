"""Transactions in, decisions out, and the states a decision is made from.

A decision's primary key is its place in the order of deciding: keys are handed out while the
card's and terminal's states are locked, so for any one key a larger number was decided later.
"""

from __future__ import annotations

import uuid
from typing import Any, ClassVar

from django.db import models
from django.db.models import Q

from apps.accounts.models import Site

SHARDS = 16
AMOUNT_MAX_MINOR = 10**12


def one_of(field: str, choices: type[models.TextChoices]) -> Q:
    return Q(**{f"{field}__in": choices.values})


class Action(models.TextChoices):
    """What a source shall do with a payment, from mild to strict."""

    APPROVE = "approve", "approve it"
    HOLD = "hold", "hold it until a person has looked"
    DECLINE = "decline", "decline it"


class Source(models.Model):
    """A system that sends transactions: an acquirer's switch, a gateway, a replay."""

    site = models.ForeignKey(Site, on_delete=models.PROTECT, related_name="sources")
    slug = models.SlugField(max_length=60, unique=True)
    name = models.CharField(max_length=120)
    is_active = models.BooleanField(default=True)
    luhn_valid_tokens = models.BooleanField(
        default=False, help_text="Its card tokens look like card numbers: do not refuse them for that."
    )
    numeric_references = models.BooleanField(
        default=False,
        help_text="Its ids and references are long numbers that may look like card numbers.",
    )
    review_means = models.CharField(
        max_length=7,
        choices=Action.choices,
        default=Action.HOLD,
        help_text="What it does with a payment whose decision is review.",
    )
    on_timeout = models.CharField(
        max_length=7,
        choices=Action.choices,
        default=Action.APPROVE,
        help_text="The least it does with a payment decided with less than everything, for want of time.",
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(condition=one_of("review_means", Action), name="review_means_known"),
            models.CheckConstraint(condition=one_of("on_timeout", Action), name="on_timeout_known"),
        ]

    def __str__(self) -> str:
        return self.slug


class FxRate(models.Model):
    """Major units of the reporting currency that one major unit of `currency` was worth from `date` on."""

    currency = models.CharField(max_length=3)
    date = models.DateField()
    rate = models.DecimalField(max_digits=24, decimal_places=12)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["currency", "date"], name="one_rate_a_day"),
            models.CheckConstraint(condition=Q(rate__gt=0), name="rate_above_zero"),
            models.CheckConstraint(condition=Q(currency__regex=r"^[A-Z]{3}$"), name="rate_currency_letters"),
        ]

    def __str__(self) -> str:
        return f"{self.currency} on {self.date}"


class SourceSecret(models.Model):
    """A webhook secret, encrypted at rest. Two are valid while one replaces the other."""

    source = models.ForeignKey(Source, on_delete=models.CASCADE, related_name="secrets")
    ciphertext = models.BinaryField()
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"webhook secret {self.pk}"


class EventType(models.TextChoices):
    AUTHORIZATION = "authorization"
    ADVICE = "advice"
    REVERSAL = "reversal"
    PARTIAL_REVERSAL = "partial_reversal"
    REFUND = "refund"


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


class Transaction(models.Model):
    """One event as it was sent. Never changed after it is stored, but for its status."""

    source = models.ForeignKey(Source, on_delete=models.PROTECT, related_name="transactions")
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
            models.Index(fields=["shard", "id"], condition=Q(status="pending"), name="pending_by_shard"),
            models.Index(fields=["id"], condition=Q(status="parked"), name="parked_transactions"),
            models.Index(fields=["card_token", "occurred_at"], name="card_timeline"),
            models.Index(
                fields=["source", "network_reference"],
                condition=~Q(network_reference=""),
                name="by_network_reference",
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


class Outcome(models.TextChoices):
    APPROVE = "approve", "Approve"
    REVIEW = "review", "Review"
    DECLINE = "decline", "Decline"


class Mode(models.TextChoices):
    FULL = "full", "model and rules"
    NO_STATE = "no_state", "model without the card's history"
    RULES_ONLY = "rules_only", "rules alone"


class Decision(models.Model):
    """What was decided, from which artefact, and why. Written once."""

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    transaction = models.OneToOneField(Transaction, on_delete=models.PROTECT, related_name="decision")
    outcome = models.CharField(max_length=7, choices=Outcome.choices)
    score = models.FloatField(null=True)
    mode = models.CharField(max_length=10, choices=Mode.choices)
    mode_reason = models.CharField(max_length=32, blank=True)
    main_reason = models.CharField(max_length=200, blank=True)
    model_version = models.PositiveIntegerField(null=True)
    artefact_hash = models.CharField(max_length=64, blank=True)
    review_threshold = models.FloatField(null=True)
    decline_threshold = models.FloatField(null=True)
    ruleset_version = models.PositiveIntegerField(default=1)
    deadline_hit = models.BooleanField(default=False)
    decided_at = models.DateTimeField(db_index=True)
    latency_ms = models.FloatField()

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(condition=one_of("outcome", Outcome), name="outcome_known"),
            models.CheckConstraint(condition=one_of("mode", Mode), name="mode_known"),
            models.CheckConstraint(
                condition=Q(mode="rules_only", score=None, model_version=None)
                | (~Q(mode="rules_only") & Q(score__gte=0, score__lte=1, model_version__isnull=False)),
                name="score_unless_rules_only",
            ),
            models.CheckConstraint(condition=Q(latency_ms__gte=0), name="latency_not_negative"),
        ]

    def __str__(self) -> str:
        return f"decision {self.public_id}"

    @property
    def reasons(self) -> list[dict[str, Any]]:
        """Rules first, then the model's; empty once the evidence was pruned."""
        try:
            return list(self.evidence.reasons)
        except Evidence.DoesNotExist:
            return []


class Evidence(models.Model):
    """What a decision rests on: the exact float32 row the trees saw, and every reason. Kept for a while."""

    decision = models.OneToOneField(
        Decision, on_delete=models.CASCADE, primary_key=True, related_name="evidence"
    )
    features = models.BinaryField(default=bytes)
    reasons = models.JSONField(default=list)

    def __str__(self) -> str:
        return f"evidence of decision {self.decision_id}"


class LateState(models.Model):
    """A transaction decided without moving the states: the shard's worker lets them know of it, once."""

    transaction = models.OneToOneField(
        Transaction, on_delete=models.PROTECT, primary_key=True, related_name="+"
    )
    shard = models.PositiveSmallIntegerField(db_index=True)

    def __str__(self) -> str:
        return f"late state of transaction {self.transaction_id}"


class KeyState(models.Model):
    """A running state as opaque versioned bytes, with the artefact that wrote it."""

    site = models.ForeignKey(Site, on_delete=models.PROTECT, related_name="+")
    key = models.CharField(max_length=128)
    state = models.BinaryField(default=bytes)
    artefact_hash = models.CharField(max_length=64, blank=True)
    version = models.PositiveBigIntegerField(default=0)

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return f"{type(self).__name__} {self.pk}"


class CardState(KeyState):
    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["site", "key"], name="one_state_per_card")]


class TerminalState(KeyState):
    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["site", "key"], name="one_state_per_terminal")
        ]


class AlertStatus(models.TextChoices):
    OPEN = "open", "Open"
    CLOSED = "closed", "Closed"


class Alert(models.Model):
    """A decision that wants a person, ranked by the money at risk (score x amount)."""

    site = models.ForeignKey(Site, on_delete=models.PROTECT, related_name="+")
    decision = models.OneToOneField(Decision, on_delete=models.PROTECT, related_name="alert")
    status = models.CharField(max_length=6, choices=AlertStatus.choices, default=AlertStatus.OPEN)
    amount_reporting_minor = models.BigIntegerField()
    risk_minor = models.BigIntegerField(help_text="Score x amount; the whole amount where there is no score.")
    created_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(condition=one_of("status", AlertStatus), name="alert_status_known"),
            models.CheckConstraint(
                condition=Q(risk_minor__gte=0, amount_reporting_minor__gte=0), name="risk_not_negative"
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=["site", "-risk_minor"], condition=Q(status="open"), name="open_by_risk")
        ]

    def __str__(self) -> str:
        return f"alert {self.pk}"


class OutboxRow(models.Model):
    """Something to tell the outside once the decision has committed; ids only."""

    topic = models.CharField(max_length=40)
    decision = models.ForeignKey(Decision, on_delete=models.PROTECT, related_name="outbox")
    created_at = models.DateTimeField()
    delivered_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["topic", "decision"], name="told_once_per_topic")
        ]
        indexes: ClassVar = [
            models.Index(fields=["id"], condition=Q(delivered_at=None), name="outbox_undelivered")
        ]

    def __str__(self) -> str:
        return f"{self.topic} {self.pk}"


class ShardLock(models.Model):
    """One row a shard; who holds it decides that shard's transactions."""

    number = models.PositiveSmallIntegerField(primary_key=True)

    def __str__(self) -> str:
        return f"shard {self.number}"
