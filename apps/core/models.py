"""What each process has loaded, so that /status can tell what serves from what was promoted."""

from __future__ import annotations

from typing import ClassVar

from django.db import models


class LoadedPart(models.Model):
    """The last thing of its kind that a process loaded. `process` is a Celery node name, or web@HOST."""

    process = models.CharField(max_length=120)
    part = models.CharField(max_length=60)
    says = models.CharField(max_length=120)
    at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["process", "part"], name="part_per_process")]

    def __str__(self) -> str:
        return f"{self.part} in {self.process}: {self.says}"
