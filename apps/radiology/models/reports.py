"""Reports: the text in sections with the template it began from, and the DICOM documents of a signed read."""

from __future__ import annotations

from typing import ClassVar

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q
from pydicom.uid import ExplicitVRLittleEndian

from apps.accounts.models import Site
from apps.radiology.models.reads import Read
from apps.radiology.models.studies import Study
from ml.radiology.report import SECTIONS


class Section(models.TextChoices):
    INDICATION = "indication", SECTIONS["indication"].title
    TECHNIQUE = "technique", SECTIONS["technique"].title
    COMPARISON = "comparison", SECTIONS["comparison"].title
    FINDINGS = "findings", SECTIONS["findings"].title
    IMPRESSION = "impression", SECTIONS["impression"].title


class ReportPolicy(models.Model):
    """Of a site without one, its name is the organisation, and a finding is overdue after half an hour."""

    site = models.OneToOneField(Site, on_delete=models.PROTECT, related_name="report_policy")
    organization = models.CharField(
        max_length=64, blank=True, help_text="Who verifies its reports, in DICOM. Blank: the site's name."
    )
    escalate_after_min = models.PositiveSmallIntegerField(
        "escalate after (min)",
        default=30,
        validators=[MinValueValidator(1), MaxValueValidator(1440)],
        help_text="Minutes after which a critical finding that nobody was told of is escalated.",
    )

    class Meta:
        verbose_name_plural = "report policies"

    def __str__(self) -> str:
        return f"reports at {self.site_id}"


class ReportTemplate(models.Model):
    """A site's own, beside those that come with Lynceus. A report keeps the text it began from."""

    site = models.ForeignKey(Site, on_delete=models.PROTECT, related_name="report_templates")
    name = models.CharField(max_length=60)
    indication = models.TextField(blank=True, max_length=4000)
    technique = models.TextField(blank=True, max_length=4000)
    comparison = models.TextField(blank=True, max_length=4000)
    findings = models.TextField(blank=True, max_length=4000)
    impression = models.TextField(blank=True, max_length=4000)
    is_active = models.BooleanField(default=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["site", "name"], name="report_template_per_site")
        ]

    def __str__(self) -> str:
        return self.name


class ReportSection(models.Model):
    """What stands in one section, beside the template's own text: what was not touched says nothing.

    `adopted`: the reader says all of it as it stands, the template's text too.
    """

    read = models.ForeignKey(Read, on_delete=models.CASCADE, related_name="sections")
    name = models.CharField(max_length=10, choices=Section.choices)
    offered = models.TextField(blank=True)
    text = models.TextField(blank=True)
    adopted = models.BooleanField(default=False)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["read", "name"], name="section_once")]

    def __str__(self) -> str:
        return f"{self.name} of read {self.read_id}"


class DocumentKind(models.TextChoices):
    REPORT = "sr", "signed report"
    REJECTION = "ko", "rejection note"


DOCUMENT_CLASS = {
    DocumentKind.REPORT: "1.2.840.10008.5.1.4.1.1.88.22",  # Enhanced SR
    DocumentKind.REJECTION: "1.2.840.10008.5.1.4.1.1.88.59",  # Key Object Selection
}


class ReportDocument(models.Model):
    """One version of a signed report as a DICOM object, or the note that takes all of them out of use.

    The row is written with the signature, the file by a worker: until then `file_sha256` is empty. `header`
    is under whose name the file was made, as `apps.radiology.common.headers.as_json`.
    """

    site = models.ForeignKey(Site, on_delete=models.PROTECT, related_name="+")
    study = models.ForeignKey(Study, on_delete=models.PROTECT, related_name="documents")
    read = models.ForeignKey(Read, on_delete=models.PROTECT, related_name="documents")
    SOPClassUID = models.CharField(max_length=64)
    kind = models.CharField(max_length=2, choices=DocumentKind.choices)
    number = models.PositiveSmallIntegerField(help_text="Of the read's documents, from 1.")
    SOPInstanceUID = models.CharField(max_length=64)
    SeriesInstanceUID = models.CharField(max_length=64)
    TransferSyntaxUID = models.CharField(max_length=64, default=str(ExplicitVRLittleEndian))
    header = models.JSONField(null=True, blank=True)
    file_sha256 = models.CharField(max_length=64, blank=True)
    file_bytes = models.PositiveBigIntegerField(default=0)
    due_at = models.DateTimeField(help_text="When its file is to be made, or tried again.")
    made_at = models.DateTimeField(null=True, blank=True)
    superseded_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["site", "SOPInstanceUID"], name="report_document_per_site"),
            models.UniqueConstraint(fields=["read", "number"], name="report_document_number"),
            models.UniqueConstraint(
                fields=["read"], condition=Q(superseded_at=None), name="one_document_in_force"
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=["due_at"], condition=Q(file_sha256=""), name="report_document_due")
        ]

    def __str__(self) -> str:
        return f"report document {self.pk}"
