from __future__ import annotations

import uuid
from typing import ClassVar

from django.db import models

from apps.accounts.models import Site, User


class PieceUpload(models.Model):
    """A large file on its way from a browser, piece by piece, so that a broken line costs one piece.

    `received` bytes of it lie in the folder of incoming files. `answer` is what the page was told at its end,
    for one that did not hear it.
    """

    site = models.ForeignKey(Site, on_delete=models.PROTECT, related_name="+")
    user = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    name = models.CharField(max_length=120)
    fingerprint = models.CharField(max_length=200, help_text="The same file chosen again goes on.")
    size = models.PositiveBigIntegerField()
    received = models.PositiveBigIntegerField(default=0)
    answer = models.JSONField(null=True, blank=True)
    touched_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["user", "fingerprint"],
                condition=models.Q(answer__isnull=True),
                name="piece_upload_once",
            )
        ]

    def __str__(self) -> str:
        return f"upload {self.pk}"
