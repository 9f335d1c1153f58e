"""A site's rules and lists. Versions, activations and entries are added, never changed; entries can end."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import F, Q

from apps.accounts.models import Site, User
from apps.fraud.models.sources import one_of


class RuleSet(models.Model):
    """One version of a site's rules, as written. Version 1 is built in and has no row."""

    site = models.ForeignKey(Site, on_delete=models.PROTECT, related_name="+")
    number = models.PositiveIntegerField()
    rules = models.JSONField(help_text="[{code, when, action, text, value, baseline, shadow}]")
    author = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    note = models.CharField(max_length=300)
    created_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["site", "number"], name="ruleset_number_per_site"),
            models.CheckConstraint(condition=Q(number__gt=1), name="ruleset_one_is_built_in"),
        ]

    def __str__(self) -> str:
        return f"rules version {self.number}"


class RuleActivation(models.Model):
    """Who put which version in service and when; the newest holds. No version: the built-in one."""

    site = models.ForeignKey(Site, on_delete=models.PROTECT, related_name="+")
    ruleset = models.ForeignKey(RuleSet, null=True, on_delete=models.PROTECT, related_name="activations")
    by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    at = models.DateTimeField()

    class Meta:
        indexes: ClassVar = [models.Index(fields=["site", "-id"], name="activation_newest")]

    def __str__(self) -> str:
        return f"activation {self.pk}"


class RuleRevision(models.Model):
    """Moves with each change of what a site decides by: rules, lists, thresholds. So deciding asks one
    number and no more.

    Its row is locked by whoever changes one of them: revisions become visible in their order.
    """

    site = models.OneToOneField(Site, on_delete=models.PROTECT, primary_key=True, related_name="+")
    number = models.PositiveBigIntegerField(default=0)

    def __str__(self) -> str:
        return f"revision {self.number} of site {self.site_id}"


class ListName(models.TextChoices):
    BLOCK = "block", "Block"
    ALLOW = "allow", "Allow"


class ListKind(models.TextChoices):
    """What is listed: a transaction's field of this name."""

    CARD_TOKEN = "card_token", "Card"
    MERCHANT_ID = "merchant_id", "Merchant"
    TERMINAL_ID = "terminal_id", "Terminal"
    DEVICE_ID = "device_id", "Device"
    IP = "ip", "IP address"
    COUNTRY = "country", "Country"
    ISSUER_COUNTRY = "issuer_country", "Issuer's country"
    BIN = "bin", "BIN"


class ListEntry(models.Model):
    """One thing on a list, until it expires or somebody ends it. `revision`: when it last changed."""

    site = models.ForeignKey(Site, on_delete=models.PROTECT, related_name="+")
    list = models.CharField(max_length=5, choices=ListName.choices)
    kind = models.CharField(max_length=14, choices=ListKind.choices)
    value = models.CharField(max_length=128)
    reason = models.CharField(max_length=200)
    expires_at = models.DateTimeField(null=True, blank=True)
    author = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)
    ended_by = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")
    revision = models.PositiveBigIntegerField()

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(condition=one_of("list", ListName), name="list_known"),
            models.CheckConstraint(condition=one_of("kind", ListKind), name="list_kind_known"),
            models.CheckConstraint(
                condition=Q(expires_at=None) | Q(expires_at__gt=F("created_at")), name="list_expires_later"
            ),
            models.CheckConstraint(
                condition=Q(ended_at=None, ended_by=None) | Q(ended_at__isnull=False), name="list_ended_by"
            ),
            models.UniqueConstraint(
                fields=["site", "list", "kind", "value"], condition=Q(ended_at=None), name="listed_once"
            ),
        ]
        indexes: ClassVar = [models.Index(fields=["site", "revision"], name="list_changes")]

    def __str__(self) -> str:
        return f"list entry {self.pk}"
