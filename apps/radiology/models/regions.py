"""Where on a film a reader drew a finding."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from apps.radiology.models.reads import Read
from apps.radiology.models.studies import Instance


class Shape(models.TextChoices):
    BOX = "box", "box"
    CONTOUR = "contour", "contour"


class Region(models.Model):
    """A box or contour as it was drawn, or taken away: rows are only added, an outline's last one stands.

    `points` are [x, y] in pixels of the film as it is stored, from its upper left corner: x along a row, y
    down a column. A box has two, its upper left and lower right corners.
    """

    read = models.ForeignKey(Read, on_delete=models.PROTECT, related_name="regions")
    instance = models.ForeignKey(Instance, on_delete=models.PROTECT, related_name="+")
    frame = models.PositiveIntegerField(help_text="From 1.")
    label = models.CharField(max_length=64)
    shape = models.CharField(max_length=8, choices=Shape.choices)
    points = models.JSONField()
    taken_away = models.BooleanField(default=False)
    after_reveal = models.BooleanField(default=False)
    at = models.DateTimeField()

    class Meta:
        indexes: ClassVar = [models.Index(fields=["read", "id"], name="region_of_read")]

    def __str__(self) -> str:
        return f"region {self.pk}"
