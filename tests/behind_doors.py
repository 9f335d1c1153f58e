"""What stands behind the doors of a site: one of each thing an address names."""

from __future__ import annotations

from dataclasses import dataclass

from apps.accounts.models import ApiClient, Role, Site, User
from apps.accounts.services import rotate_secret
from apps.core.clock import now
from apps.fraud.models import (
    Act,
    Backtest,
    Case,
    Contest,
    Decision,
    Disposition,
    ListEntry,
    ListKind,
    ListName,
    OperatingProposal,
    PassThroughPolicy,
    RuleSet,
    Source,
)
from apps.fraud.rules.services.lists import add_entry
from apps.fraud.settle.services.cases import open_case
from apps.modelops.models import (
    Alarm,
    CrossValidation,
    DatasetSnapshot,
    Freeze,
    GateRun,
    Model,
    ModelVersion,
    PromotionRequest,
    TrainingJob,
)
from apps.radiology.models import (
    Communication,
    Correction,
    DicomNode,
    DicomPeer,
    Discrepancy,
    Dispatch,
    Export,
    Instance,
    KeptAside,
    PatientMerge,
    PieceUpload,
    Read,
    ReadingPolicy,
    RejectionNote,
    ReportPolicy,
    ReportTemplate,
    Result,
    Study,
)
from tests import behind_doors_fraud as fraud
from tests import behind_doors_radiology as radiology


@dataclass(frozen=True, slots=True)
class Things:
    """One of everything, of one site. Add a field here when a new door opens a new kind of thing."""

    user: User
    client: ApiClient
    token: str
    study: Study
    instance: Instance
    correction: Correction
    aside: KeptAside
    rejection: RejectionNote
    merge: PatientMerge
    upload: PieceUpload
    result: Result
    decision: Decision
    disposition: Disposition
    act: Act
    case: Case
    contest: Contest
    ruleset: RuleSet
    policy: PassThroughPolicy
    backtest: Backtest
    proposal: OperatingProposal
    entry: ListEntry
    source: Source
    node: DicomNode
    peer: DicomPeer
    export: Export
    reading: ReadingPolicy
    read: Read
    communication: Communication
    dispatch: Dispatch
    template: ReportTemplate
    reporting: ReportPolicy
    job: TrainingJob
    version: ModelVersion
    film_version: ModelVersion
    promotion: PromotionRequest
    freeze: Freeze
    alarm: Alarm
    crossed: CrossValidation


def make_things(site: Site) -> Things:
    client = ApiClient.objects.create(
        site=site, name="program", scopes=["radiology", "fraud"], source_slug=site.slug
    )
    source = Source.objects.create(site=site, slug=site.slug, name=site.name)
    study, instance = radiology.film(site)
    job, version = _model(site, "fraud")
    _, film_version = _model(site, "radiology")
    radiology.called(instance, version)
    user = User.objects.create_user(f"someone@{site.slug}.example", site=site, role=Role.AUDITOR)
    read = radiology.signed(study, user)
    decision = fraud.decision(source)
    alert = decision.alert
    Discrepancy.objects.create(study=study, read=read, label="Effusion", kind="ai", opened_at=now())
    return Things(
        user=user,
        client=client,
        token=rotate_secret(client),
        study=study,
        instance=instance,
        correction=radiology.correction(instance),
        aside=radiology.aside(instance),
        rejection=radiology.rejection(site),
        merge=radiology.merge(site, user),
        upload=radiology.upload(user),
        result=radiology.result(study),
        decision=decision,
        disposition=fraud.disposed(alert, user),
        act=Act.objects.create(site=site, kind="block", decision=decision, by=user, at=now()),
        case=open_case(title="x", alerts=[alert], by=user),
        contest=Contest.objects.create(
            site=site, source=source, contest_id=f"contest-{site.slug}", decision=decision, opened_at=now()
        ),
        ruleset=fraud.ruleset(site, user),
        policy=fraud.policy(site, user),
        backtest=fraud.backtest(site, user),
        proposal=fraud.proposal(version, user),
        entry=add_entry(
            site=site, name=ListName.ALLOW, kind=ListKind.COUNTRY, value="BE", reason="x", expires_at=None,
            author=user,
        ),
        source=source,
        node=DicomNode.objects.create(site=site, AETitle=site.slug.upper()),
        peer=DicomPeer.objects.create(site=site, AETitle=site.slug.upper(), host="127.0.0.1", port=9),
        export=radiology.export(site),
        # Concurrent, or what the model said would open to nobody here.
        reading=ReadingPolicy.objects.create(site=site, concurrent=True),
        read=read,
        communication=Communication.objects.create(
            site=site, read=read, finding="x", identified_at=now()
        ),
        dispatch=radiology.dispatch(read),
        template=ReportTemplate.objects.create(site=site, name="x"),
        reporting=ReportPolicy.objects.create(site=site),
        job=job,
        version=version,
        film_version=film_version,
        promotion=_promotion(version, user),
        freeze=Freeze.objects.create(
            site=site, domain="fraud", name="y", state="failed", by=user, asked_at=now(), moved_at=now()
        ),
        alarm=Alarm.objects.create(
            site=site, domain="fraud", measure="volume", version=version, value=0.1, limit=0.3,
            sentence="x", opened_at=now(),
        ),
        crossed=_crossed(job),
    )  # fmt: skip


def _crossed(job: TrainingJob) -> CrossValidation:
    crossed = CrossValidation.objects.create(site=job.site, dataset=job.dataset, preset="tiny", folds=2)
    asked = {"site": job.site, "domain": job.domain, "dataset": job.dataset, "preset": "tiny"}
    TrainingJob.objects.create(cross_validation=crossed, fold=1, status="failed", **asked)
    return crossed


def _promotion(version: ModelVersion, by: User) -> PromotionRequest:
    run = GateRun.objects.create(version=version, dataset=version.dataset, status="done", at=now())
    return PromotionRequest.objects.create(version=version, gate_run=run, asked_by=by, asked_at=now())


def _model(site: Site, domain: str) -> tuple[TrainingJob, ModelVersion]:
    dataset = DatasetSnapshot.objects.create(site=site, domain=domain, name="x", manifest_sha256="")
    job = TrainingJob.objects.create(site=site, domain=domain, dataset=dataset, preset="tiny")
    model, _ = Model.objects.get_or_create(domain=domain)
    version = ModelVersion.objects.create(
        model=model, number=site.pk, artefact_hash=f"{site.pk:064d}", dataset=dataset, job=job
    )
    return job, version
