from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import F, Q

from apps.accounts.models import Site, User


class PatientMerge(models.Model):
    """One patient under two numbers: what is or comes under the first is the second's, until undone."""

    site = models.ForeignKey(Site, on_delete=models.PROTECT, related_name="+")
    from_patient = models.CharField(max_length=256)
    from_issuer = models.CharField(max_length=256, blank=True)
    into_patient = models.CharField(max_length=256)
    into_issuer = models.CharField(max_length=256, blank=True)
    note = models.CharField(max_length=200)
    at = models.DateTimeField()
    by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    undone_at = models.DateTimeField(null=True, blank=True)
    undone_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.PROTECT, related_name="+")

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["site", "from_patient", "from_issuer"],
                condition=Q(undone_at=None),
                name="merged_once",
            ),
            models.CheckConstraint(
                condition=~Q(from_patient=F("into_patient"), from_issuer=F("into_issuer")),
                name="merge_of_two",
            ),
        ]

    def __str__(self) -> str:
        return f"merge {self.pk}"

    @property
    def source(self) -> tuple[str, str]:
        return self.from_patient, self.from_issuer

    @property
    def target(self) -> tuple[str, str]:
        return self.into_patient, self.into_issuer
