"""Studies, their instances, and what each model version found. DICOM attributes keep their keywords."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from apps.accounts.models import Site
from apps.core.clock import now
from apps.modelops.models import ModelVersion
from apps.radiology.models.orders import ORDER, SHOWN, TO_READ, Priority
from apps.radiology.models.rejections import RejectionNote


class Status(models.TextChoices):
    RECEIVED = "received", "waiting"
    ANALYSING = "analysing", "analysing"
    ANALYSED = "analysed", "analysed"
    NOT_ANALYSED = "not_analysed", "not analysed"
    REFUSED = "refused", "unreadable"


# Of instances: everything that shows, counts or serves films asks for this.
NOT_REJECTED = Q(rejected_by=None)
OPEN = (Status.RECEIVED, Status.ANALYSING)


class Study(models.Model):
    """`status` and `raised_by` sum up the instances; services keep them in step, in one transaction."""

    site = models.ForeignKey(Site, on_delete=models.PROTECT, related_name="studies")
    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    StudyInstanceUID = models.CharField(max_length=64)
    PatientID = models.CharField(max_length=256, blank=True)
    IssuerOfPatientID = models.CharField(max_length=256, blank=True)
    PatientName = models.CharField(max_length=256, blank=True)
    PatientBirthDate = models.CharField(max_length=16, blank=True)
    PatientSex = models.CharField(max_length=16, blank=True)
    PatientAge = models.CharField(max_length=16, blank=True)
    AccessionNumber = models.CharField(max_length=64, blank=True)
    StudyDescription = models.CharField(max_length=256, blank=True)
    StudyID = models.CharField(max_length=64, blank=True, default="", db_default="")
    ReferringPhysicianName = models.CharField(max_length=256, blank=True, default="", db_default="")
    StudyDate = models.CharField(max_length=16, blank=True, help_text="DA, as sent: local time.")
    StudyTime = models.CharField(max_length=16, blank=True, help_text="TM, as sent: local time.")
    TimezoneOffsetFromUTC = models.CharField(max_length=16, blank=True)
    synthetic = models.BooleanField(default=False)
    status = models.CharField(max_length=12, choices=Status.choices, default=Status.RECEIVED)
    raised = models.BooleanField(default=False, help_text="A finding is at or above its operating point.")
    raised_by = models.JSONField(default=list, help_text="Those findings' labels, the strongest first.")
    withdrawn = models.BooleanField(default=False, help_text="Every film was rejected: nothing shows it.")
    is_prior = models.BooleanField(
        default=False, db_default=False, help_text="Fetched to compare another with: no new work."
    )
    read_state = models.CharField(
        max_length=12, blank=True, help_text="Of the furthest read; empty while nobody has begun one."
    )
    priority = models.CharField(
        max_length=8, choices=Priority.choices, default=Priority.ROUTINE, db_default=Priority.ROUTINE
    )
    location = models.CharField(max_length=64, blank=True, default="", db_default="")
    clinical_question = models.CharField(max_length=400, blank=True, default="", db_default="")
    order_set = models.CharField(
        max_length=60, blank=True, default="", db_default="",
        help_text="Those of the order's fields that a program or a person set, by comma.",
    )  # fmt: skip
    rank_at = models.DateTimeField(
        default=now, db_default=Now(), help_text="By `models.orders.rank_of`: the earliest is read first."
    )
    late_films = models.BooleanField(
        default=False, db_default=False, help_text="Films came after sign-off, and nobody has said so yet."
    )
    second_read_due = models.BooleanField(
        default=False, db_default=False, help_text="A second reader is asked for, and none has committed."
    )
    received_at = models.DateTimeField()
    last_received_at = models.DateTimeField(default=now)
    complete_at = models.DateTimeField(
        null=True, blank=True, help_text="When it had been quiet for long enough; empty while films arrive."
    )
    changed_at = models.DateTimeField()
    results_for = models.DateTimeField(
        null=True, blank=True, help_text="The `changed_at` for which results were made, or none were needed."
    )
    results_retry_at = models.DateTimeField(null=True, blank=True, help_text="They failed: not before.")
    compared_for = models.DateTimeField(
        null=True, blank=True, help_text="The `changed_at` for which reads and model were compared."
    )

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["site", "StudyInstanceUID"], name="study_per_site")
        ]
        indexes: ClassVar = [
            models.Index(fields=["site", "rank_at", "id"], condition=TO_READ, name="study_to_read"),
            models.Index(
                fields=["site"],
                condition=TO_READ & Q(status__in=["received", "analysing"]),
                name="study_under_way",
            ),
            models.Index(fields=["site", "-received_at", "-id"], condition=SHOWN, name="study_received"),
            models.Index(fields=["site", "PatientID"], name="study_patient"),
            models.Index(fields=["site", "-changed_at"], name="study_changed"),
            models.Index(fields=["last_received_at"], condition=Q(complete_at=None), name="study_arriving"),
            models.Index(
                fields=["changed_at"],
                condition=Q(results_for=None) | Q(results_for__lt=models.F("changed_at")),
                name="study_results_due",
            ),
            models.Index(
                fields=["changed_at"],
                condition=~Q(read_state="")
                & (Q(compared_for=None) | Q(compared_for__lt=models.F("changed_at"))),
                name="study_compare_due",
            ),
        ]

    def __str__(self) -> str:
        return f"study {self.pk}"

    @property
    def order_in_header(self) -> list[str]:
        """Those of the order's fields that stand as a film's header has them."""
        given = [name for name, unsaid in ORDER.items() if getattr(self, name) != unsaid]
        return [name for name in given if name not in self.order_set.split(",")]


class Instance(models.Model):
    """One SOP instance. Its file lies in the film store under `file_sha256`."""

    study = models.ForeignKey(Study, on_delete=models.PROTECT, related_name="instances")
    site = models.ForeignKey(Site, on_delete=models.PROTECT, related_name="+")
    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    SOPInstanceUID = models.CharField(max_length=64)
    SOPClassUID = models.CharField(max_length=64)
    SeriesInstanceUID = models.CharField(max_length=64)
    TransferSyntaxUID = models.CharField(max_length=64)
    Modality = models.CharField(max_length=16, blank=True)
    Manufacturer = models.CharField(max_length=64, blank=True, default="", db_default="")
    BodyPartExamined = models.CharField(max_length=64, blank=True)
    ViewPosition = models.CharField(max_length=64, blank=True)
    SeriesDescription = models.CharField(max_length=256, blank=True)
    Rows = models.PositiveIntegerField()
    Columns = models.PositiveIntegerField()
    NumberOfFrames = models.PositiveIntegerField(default=1)
    synthetic = models.BooleanField(default=False)
    file_sha256 = models.CharField(max_length=64)
    content_sha256 = models.CharField(max_length=64, help_text="Of the data set: two senders' copies agree.")
    pixel_sha256 = models.CharField(max_length=64, blank=True)
    file_bytes = models.PositiveBigIntegerField()
    has_picture = models.BooleanField(default=False)
    origin = models.CharField(max_length=10)
    status = models.CharField(max_length=12, choices=Status.choices, default=Status.RECEIVED)
    reason_code = models.CharField(max_length=40, blank=True)
    reason = models.CharField(max_length=200, blank=True)
    attempts = models.PositiveSmallIntegerField(
        default=0, help_text="Grows with each claim; what fails again and again is given up."
    )
    lease_expires_at = models.DateTimeField(null=True, blank=True)
    held_by = models.CharField(
        max_length=100, blank=True, help_text="The worker's node name and its claim's own mark."
    )
    rung_at = models.DateTimeField(null=True, blank=True, help_text="When the sweeper last rang for it.")
    rejected_by = models.ForeignKey(
        RejectionNote, null=True, blank=True, on_delete=models.PROTECT, related_name="instances"
    )
    received_at = models.DateTimeField()
    analysed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["site", "SOPInstanceUID"], name="instance_per_site")
        ]
        indexes: ClassVar = [
            models.Index(fields=["Modality", "study"], name="instance_modality"),
            models.Index(
                fields=["received_at"],
                condition=Q(status__in=["received", "analysing"]),
                name="instance_open",
            ),
        ]

    def __str__(self) -> str:
        return f"instance {self.pk}"

    @property
    def is_open(self) -> bool:
        return self.status in OPEN


class Analysis(models.Model):
    """What one model version said about one instance's pixels."""

    instance = models.ForeignKey(Instance, on_delete=models.CASCADE, related_name="analyses")
    version = models.ForeignKey(ModelVersion, on_delete=models.PROTECT, related_name="+")
    variant = models.CharField(
        max_length=20, blank=True, default="", db_default="",
        help_text="The form of the model that computed it: onnx, int8 or torch; empty where none was kept.",
    )  # fmt: skip
    pixel_sha256 = models.CharField(max_length=64)
    at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["instance", "version"], name="analysis_per_version")
        ]

    def __str__(self) -> str:
        return f"analysis {self.pk}"


class Finding(models.Model):
    analysis = models.ForeignKey(Analysis, on_delete=models.CASCADE, related_name="findings")
    label = models.CharField(max_length=64)
    probability = models.FloatField()
    operating_point = models.FloatField(
        null=True, help_text="None: too little evidence to set one, and nothing is called."
    )
    positive = models.BooleanField()
    attention = models.BinaryField(
        null=True, help_text="PNG to lay over the film: where the model looked. Only of what is called."
    )

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["analysis", "label"], name="finding_per_label"),
            models.CheckConstraint(
                condition=Q(probability__gte=0, probability__lte=1), name="is_probability"
            ),
        ]

    def __str__(self) -> str:
        return f"finding {self.pk}"
