"""Who did what to which row: events are only ever added, and a chain of hashes seals them.

Rows hold internal ids only, no name and no card: erasing a person leaves the chain valid.
"""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q

from apps.accounts.models import Site


class AuditEvent(models.Model):
    """Written in the transaction of the action it records. The database refuses to change or delete it."""

    at = models.DateTimeField(db_index=True)
    site = models.ForeignKey(Site, null=True, on_delete=models.PROTECT, related_name="+")
    actor = models.CharField(max_length=40, help_text="user:ID, client:ID, or system")
    action = models.CharField(max_length=60, db_index=True)
    subject = models.CharField(max_length=80, blank=True, help_text="KIND:internal id")
    detail = models.JSONField(default=dict, help_text="Numbers, codes and internal ids only.")

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["site", "-id"], name="audit_site_newest"),
            models.Index(fields=["site", "action", "-id"], name="audit_site_action"),
            # Events of decisions have no subject, and need not pay for it.
            models.Index(fields=["subject", "-id"], condition=~Q(subject=""), name="audit_subject"),
        ]

    def __str__(self) -> str:
        return f"{self.action} {self.subject}"


class UnsealedEvent(models.Model):
    """Waits for the sealer, so that finding the new ones costs the same however long the chain is."""

    event = models.OneToOneField(AuditEvent, primary_key=True, on_delete=models.PROTECT, related_name="+")

    def __str__(self) -> str:
        return f"unsealed {self.pk}"


class AuditSeal(models.Model):
    """Link `number` of the chain: SHA-256 over the link before and the event's content."""

    number = models.BigIntegerField(primary_key=True)
    event_id = models.BigIntegerField(unique=True)  # no foreign key: a missing event must be findable
    sha256 = models.CharField(max_length=64)

    def __str__(self) -> str:
        return f"seal {self.number}"


class ChainHead(models.Model):
    """One row: locked by the sealer so that only one seals at a time."""

    count = models.BigIntegerField(default=0)
    sha256 = models.CharField(max_length=64, blank=True)

    def __str__(self) -> str:
        return f"{self.count} sealed"
