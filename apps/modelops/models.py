"""Models, their versions, the frozen data they learnt from, and the jobs that trained them."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from apps.accounts.models import Site, User
from apps.core.clock import now

HELD_OUT = [("test", "test"), ("gate", "gate")]


class Model(models.Model):
    """One per domain: which version stands where. `services.promotion` alone moves them, under its lock.

    The champion serves; `previous` is what one person may roll back to; the challenger is what somebody asked
    to promote; `shadow` scores live traffic beside the champion and decides nothing.
    """

    domain = models.CharField(max_length=20, unique=True)
    champion = models.ForeignKey(
        "ModelVersion", null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    previous = models.ForeignKey(
        "ModelVersion", null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    challenger = models.ForeignKey(
        "ModelVersion", null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    shadow = models.ForeignKey(
        "ModelVersion", null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )

    def __str__(self) -> str:
        return self.domain


class DatasetSnapshot(models.Model):
    """A frozen, immutable folder of examples under VAR/datasets."""

    site = models.ForeignKey(Site, on_delete=models.PROTECT, related_name="datasets")
    domain = models.CharField(max_length=20)
    name = models.SlugField(max_length=60)
    manifest_sha256 = models.CharField(max_length=64)
    summary = models.JSONField(default=dict)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["site", "domain", "name"], name="dataset_name_per_site")
        ]

    def __str__(self) -> str:
        return f"{self.domain}/{self.name}"


class HeldOutCase(models.Model):
    """A case that tested, or stood at the gate, in a dataset: no later one trains or chooses on it."""

    site = models.ForeignKey(Site, on_delete=models.PROTECT, related_name="held_out_cases")
    domain = models.CharField(max_length=20)
    key = models.CharField(max_length=80, help_text="What the domain tells its cases apart by; no identity.")
    part = models.CharField(max_length=4, choices=HELD_OUT)
    dataset = models.ForeignKey(DatasetSnapshot, on_delete=models.PROTECT, related_name="held_out_cases")

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["site", "domain", "key"], name="held_out_once")
        ]

    def __str__(self) -> str:
        return f"{self.part} of {self.dataset_id}"


class HeldOutPeriod(models.Model):
    """As a case, of a domain that is split by time: [begins_at, ends_at) of one stream of events."""

    site = models.ForeignKey(Site, on_delete=models.PROTECT, related_name="held_out_periods")
    domain = models.CharField(max_length=20)
    stream = models.CharField(max_length=60, blank=True, help_text="Blank: what the site itself saw.")
    part = models.CharField(max_length=4, choices=HELD_OUT)
    begins_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    dataset = models.ForeignKey(DatasetSnapshot, on_delete=models.PROTECT, related_name="held_out_periods")

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["site", "domain", "stream", "part", "begins_at", "ends_at"],
                name="held_out_period_once",
            )
        ]

    def __str__(self) -> str:
        return f"{self.part} of {self.dataset_id}"


class Freeze(models.Model):
    """A dataset being frozen in the background, asked for from a page."""

    class State(models.TextChoices):
        WAITING = "waiting"
        RUNNING = "running"
        DONE = "done"
        FAILED = "failed"

    site = models.ForeignKey(Site, on_delete=models.PROTECT, related_name="freezes")
    domain = models.CharField(max_length=20)
    name = models.SlugField(max_length=60)
    includes = models.JSONField(default=list, help_text="Which of what the domain offers to include.")
    state = models.CharField(max_length=7, choices=State.choices, default=State.WAITING)
    tries = models.PositiveSmallIntegerField(default=0)
    done = models.PositiveIntegerField(default=0)
    total = models.PositiveIntegerField(default=0, help_text="0 while that is not known.")
    fault = models.CharField(max_length=300, blank=True, help_text="Why it failed, as a sentence.")
    by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    asked_at = models.DateTimeField()
    moved_at = models.DateTimeField()
    dataset = models.OneToOneField(
        DatasetSnapshot, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["site", "domain"], condition=Q(state__in=["waiting", "running"]), name="one_freeze"
            )
        ]

    def __str__(self) -> str:
        return f"freeze {self.pk}"

    @property
    def is_open(self) -> bool:
        return self.state in (self.State.WAITING, self.State.RUNNING)


class TrainingJob(models.Model):
    """The table is the queue. Who holds the lease with the current fence may write, nobody else."""

    class Status(models.TextChoices):
        QUEUED = "queued"
        RUNNING = "running"
        PAUSED = "paused"
        SUCCEEDED = "succeeded"
        FAILED = "failed"
        CANCELLED = "cancelled"

    class Device(models.TextChoices):
        AUTO = "auto", "as the machine has it"
        CPU = "cpu", "processor"
        CUDA = "cuda", "graphics card"

    site = models.ForeignKey(Site, on_delete=models.PROTECT, related_name="training_jobs")
    domain = models.CharField(max_length=20)
    dataset = models.ForeignKey(DatasetSnapshot, on_delete=models.PROTECT, related_name="jobs")
    preset = models.CharField(max_length=20)
    params = models.JSONField(default=dict)
    seed = models.PositiveIntegerField(default=0)
    device = models.CharField(
        max_length=10, choices=Device.choices, default=Device.AUTO, db_default=Device.AUTO
    )
    device_slot = models.CharField(
        max_length=120, blank=True, default="", db_default="",
        help_text="The one device its holder trains on, as host/kind:index; empty for the processor.",
    )  # fmt: skip
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.QUEUED)
    requested_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    cancel_requested = models.BooleanField(default=False)
    pause_requested = models.BooleanField(default=False, db_default=False)
    fence = models.PositiveIntegerField(default=0, help_text="Grows with each claim; older holders are out.")
    attempts = models.PositiveSmallIntegerField(
        default=0, db_default=0, help_text="Claims since it last got as far as a checkpoint."
    )
    queued_at = models.DateTimeField(
        default=now, db_default=Now(), help_text="Its place in the queue; behind the others after each claim."
    )
    lease_expires_at = models.DateTimeField(null=True, blank=True)
    progress = models.JSONField(default=dict, help_text="The latest progress event.")
    checkpoint_at = models.DateTimeField(
        null=True, blank=True, help_text="When it was last kept how far it got; empty if nothing is."
    )
    error_code = models.CharField(max_length=60, blank=True)
    error_message = models.TextField(blank=True)
    unseen = models.BooleanField(
        default=False, db_default=False, help_text="It is over and who asked for it has not looked yet."
    )
    created_at = models.DateTimeField(auto_now_add=True)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes: ClassVar = [
            models.Index(
                fields=["queued_at", "id"],
                condition=Q(status__in=["queued", "running"]),
                name="job_open_in_turn",
            ),
        ]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["device_slot"],
                condition=Q(status="running") & ~Q(device_slot=""),
                name="one_running_job_a_device",
            )
        ]

    def __str__(self) -> str:
        return f"job {self.pk}"

    @property
    def is_open(self) -> bool:
        """Whether it still comes to something by itself."""
        return self.status in (self.Status.QUEUED, self.Status.RUNNING)

    @property
    def can_resume(self) -> bool:
        return self.status in (self.Status.PAUSED, self.Status.FAILED, self.Status.CANCELLED)


class JobEvent(models.Model):
    """One line of progress, in order."""

    job = models.ForeignKey(TrainingJob, on_delete=models.CASCADE, related_name="events")
    at = models.DateTimeField()
    payload = models.JSONField()

    def __str__(self) -> str:
        return f"event {self.pk} of job {self.job_id}"


class ModelVersion(models.Model):
    """A trained artefact, found under VAR/artefacts by its hash."""

    model = models.ForeignKey(Model, on_delete=models.PROTECT, related_name="versions")
    number = models.PositiveIntegerField()
    artefact_hash = models.CharField(max_length=64)
    metrics = models.JSONField(default=dict)
    variant = models.CharField(
        max_length=20, blank=True, default="", db_default="",
        help_text="Which form of the model serves; empty for the only one.",
    )  # fmt: skip
    dataset = models.ForeignKey(DatasetSnapshot, on_delete=models.PROTECT, related_name="versions")
    job = models.OneToOneField(TrainingJob, on_delete=models.PROTECT, related_name="version")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["model", "number"], name="version_number_per_model")
        ]

    def __str__(self) -> str:
        return f"{self.model.domain} v{self.number}"


class Promotion(models.Model):
    """Who made which version the champion, and when. Rolling back is one more promotion."""

    version = models.ForeignKey(ModelVersion, on_delete=models.PROTECT, related_name="promotions")
    by = models.ForeignKey(User, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.version} promoted"


class GateRun(models.Model):
    """One look at a dataset's locked part: a version held against the champion. The table is the queue.

    `lines` are those of `ml.common.gate.GateLine`; `n` examples were looked at, 0 while none was.
    """

    class Status(models.TextChoices):
        QUEUED = "queued"
        RUNNING = "running"
        DONE = "done"
        FAILED = "failed"

    version = models.ForeignKey(ModelVersion, on_delete=models.PROTECT, related_name="gate_runs")
    champion = models.ForeignKey(ModelVersion, null=True, on_delete=models.PROTECT, related_name="+")
    dataset = models.ForeignKey(DatasetSnapshot, on_delete=models.PROTECT, related_name="gate_runs")
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.QUEUED)
    passed = models.BooleanField(default=False)
    lines = models.JSONField(default=list)
    n = models.PositiveIntegerField(default=0)
    n_left_out = models.PositiveIntegerField(default=0)
    error_code = models.CharField(max_length=60, blank=True)
    error_message = models.TextField(blank=True)
    progress = models.JSONField(default=dict, help_text="The latest progress event.")
    fence = models.PositiveIntegerField(default=0, help_text="Grows with each claim; older holders are out.")
    lease_expires_at = models.DateTimeField(null=True, blank=True)
    rung_at = models.DateTimeField(null=True, blank=True)
    by = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")
    at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["version"], condition=Q(status__in=["queued", "running"]), name="one_open_gate_run"
            )
        ]

    def __str__(self) -> str:
        return f"gate run {self.pk}"

    @property
    def is_open(self) -> bool:
        return self.status in (self.Status.QUEUED, self.Status.RUNNING)


class PromotionRequest(models.Model):
    """One person asked that a version become the champion; another decides."""

    class Status(models.TextChoices):
        OPEN = "open"
        PROMOTED = "promoted"
        REFUSED = "refused"
        WITHDRAWN = "withdrawn"

    version = models.ForeignKey(ModelVersion, on_delete=models.PROTECT, related_name="promotion_requests")
    gate_run = models.ForeignKey(GateRun, on_delete=models.PROTECT, related_name="promotion_requests")
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.OPEN)
    asked_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    asked_at = models.DateTimeField()
    decided_by = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")
    decided_at = models.DateTimeField(null=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["version"], condition=Q(status="open"), name="one_open_promotion_request"
            ),
            models.CheckConstraint(
                condition=~Q(status="promoted")
                | (Q(decided_by__isnull=False) & ~Q(decided_by=F("asked_by"))),
                name="promotion_takes_two_people",
            ),
        ]

    def __str__(self) -> str:
        return f"request {self.pk} to promote {self.version}"
