"""Who sends, what it may and does, and what its money is worth."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q

from apps.accounts.models import Site


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
    webhook_url = models.URLField(
        blank=True,
        help_text="Where its decisions are sent, signed with its own secret. Private addresses are refused.",
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


class SourceSecret(models.Model):
    """A webhook secret, encrypted at rest. Two are valid while one replaces the other."""

    source = models.ForeignKey(Source, on_delete=models.CASCADE, related_name="secrets")
    ciphertext = models.BinaryField()
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"webhook secret {self.pk}"


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
