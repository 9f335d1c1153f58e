"""How good it is here: second reads, what differs and how it was settled, what became a label."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q

from apps.accounts.models import Site, User
from apps.modelops.models import DatasetSnapshot, ModelVersion
from apps.radiology.models.reads import Read, Verdict
from apps.radiology.models.studies import Study


class Purpose(models.TextChoices):
    SECOND_READ = "second_read", "second read"
    SAMPLE = "sample", "sample of what was not raised"


class Draw(models.Model):
    """One throw for one study, kept whatever it came to: below `probability` the study is chosen."""

    study = models.ForeignKey(Study, on_delete=models.PROTECT, related_name="draws")
    purpose = models.CharField(max_length=12, choices=Purpose.choices)
    value = models.FloatField(help_text="Uniform in [0, 1).")
    probability = models.FloatField(help_text="The site's rate at that moment.")
    at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["study", "purpose"], name="draw_once"),
            models.CheckConstraint(
                condition=Q(value__gte=0, value__lt=1, probability__gt=0, probability__lte=1),
                name="draw_is_uniform",
            ),
        ]

    def __str__(self) -> str:
        return f"draw {self.pk}"

    @property
    def chosen(self) -> bool:
        return self.value < self.probability


class SecondRead(models.Model):
    """A second radiologist is asked for. `requested_by` is empty where a draw asked; `read` is theirs once
    committed."""

    study = models.ForeignKey(Study, on_delete=models.PROTECT, related_name="second_reads")
    first = models.ForeignKey(Read, on_delete=models.PROTECT, related_name="second_reads")
    read = models.OneToOneField(
        Read, null=True, blank=True, on_delete=models.PROTECT, related_name="second_of"
    )
    requested_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["first"], name="second_read_once")]
        indexes: ClassVar = [
            models.Index(fields=["study"], condition=Q(read=None), name="second_read_waits"),
        ]

    def __str__(self) -> str:
        return f"second read {self.pk}"


class SecondReadDecline(models.Model):
    """Somebody who could give a second read will not: it stays with the others. What colleagues said opens to
    them, so that a read of theirs is never the second one."""

    second = models.ForeignKey(SecondRead, on_delete=models.PROTECT, related_name="declines")
    by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    reason = models.CharField(max_length=400)
    at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["second", "by"], name="second_read_declined_once")
        ]

    def __str__(self) -> str:
        return f"decline {self.pk}"


class CaseOpened(models.Model):
    """Somebody who had not read the study saw what readers and model said: a read of theirs is not blind."""

    study = models.ForeignKey(Study, on_delete=models.PROTECT, related_name="+")
    user = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["study", "user"], name="case_opened_once")]

    def __str__(self) -> str:
        return f"case of study {self.study_id} opened"


class Kind(models.TextChoices):
    AI = "ai", "model and reader differ"
    SECOND_READ = "second_read", "two readers differ"
    CHANGED = "changed", "mind changed after the reveal"


class Discrepancy(models.Model):
    """One finding of one read that differs from the model, from another read, or from what it was."""

    study = models.ForeignKey(Study, on_delete=models.PROTECT, related_name="discrepancies")
    label = models.CharField(max_length=64)
    kind = models.CharField(max_length=12, choices=Kind.choices)
    read = models.ForeignKey(Read, on_delete=models.PROTECT, related_name="+")
    opened_at = models.DateTimeField()
    settled_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name_plural = "discrepancies"
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["read", "label", "kind"], name="discrepancy_once")
        ]
        indexes: ClassVar = [
            models.Index(fields=["study"], condition=Q(settled_at=None), name="discrepancy_open")
        ]

    def __str__(self) -> str:
        return f"discrepancy {self.pk}"


class Reason(models.TextChoices):
    """What a peer-learning meeting would call it."""

    MISSED = "missed", "missed: it is there to be seen"
    OVERCALLED = "overcalled", "overcalled: something else looked like it"
    SATISFACTION = "satisfaction_of_search", "satisfaction of search: another finding drew the eye"
    INTERPRETATION = "interpretation", "seen, and taken for something else"
    TECHNICAL = "technical", "technical: film or exposure"
    DEFINITION = "definition", "the label's meaning: at the limit of what counts"
    DISAGREEMENT = "true_disagreement", "true disagreement: reasonable readers differ"
    SLIP = "slip", "slip: wrong button or side"


class Adjudication(models.Model):
    """How a finding of a study was settled. Rows are only added; the last of a finding stands as reference.

    Its `verdict` unsure says that it cannot be told. `independent`: by neither of its readers.
    """

    study = models.ForeignKey(Study, on_delete=models.PROTECT, related_name="adjudications")
    label = models.CharField(max_length=64)
    verdict = models.CharField(max_length=8, choices=Verdict.choices)
    reason = models.CharField(max_length=24, choices=Reason.choices)
    learning_point = models.TextField(blank=True)
    by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    independent = models.BooleanField()
    at = models.DateTimeField()

    class Meta:
        indexes: ClassVar = [models.Index(fields=["study", "label", "-id"], name="adjudication_last")]

    def __str__(self) -> str:
        return f"adjudication {self.pk}"


class Comparison(models.Model):
    """One finding of one study as one model version called it, beside what is held to be so.

    Made anew by services.compare whenever the study changed: nothing but a summary, to be added up in SQL.
    `blind` is what was read before the reveal and `present` the same unless it was settled otherwise; each
    None where unknown.
    """

    site = models.ForeignKey(Site, on_delete=models.PROTECT, related_name="+")
    study = models.ForeignKey(Study, on_delete=models.CASCADE, related_name="comparisons")
    version = models.ForeignKey(ModelVersion, on_delete=models.PROTECT, related_name="+")
    label = models.CharField(max_length=64)
    probability = models.FloatField()
    called = models.BooleanField(null=True, help_text="Empty without an operating point: nothing is called.")
    blind = models.BooleanField(null=True)
    present = models.BooleanField(null=True)
    adjudicated = models.BooleanField(default=False)
    sex = models.CharField(max_length=8, blank=True)
    age_band = models.CharField(max_length=20, blank=True)
    view = models.CharField(max_length=64, blank=True)
    weight = models.FloatField(
        null=True, help_text="1 of a raised study, 1/p of one in the sample, empty of the rest."
    )
    read_at = models.DateTimeField(help_text="When the first of its reads was committed.")

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["study", "version", "label"], name="comparison_once"),
            models.CheckConstraint(
                condition=Q(present__isnull=False) | Q(blind__isnull=False), name="comparison_knows_something"
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=["site", "version", "read_at"], name="comparison_of_version"),
        ]

    def __str__(self) -> str:
        return f"comparison {self.pk}"


class FrozenLabel(models.Model):
    """What of a read, or of an adjudication of its study, went into which frozen dataset. Never changed."""

    dataset = models.ForeignKey(DatasetSnapshot, on_delete=models.PROTECT, related_name="+")
    read = models.ForeignKey(Read, on_delete=models.PROTECT, related_name="frozen_labels")
    label = models.CharField(max_length=64)
    present = models.BooleanField()
    adjudicated = models.BooleanField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["dataset", "read", "label"], name="frozen_label_once")
        ]

    def __str__(self) -> str:
        return f"frozen label {self.pk}"
