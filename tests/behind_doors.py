"""What stands behind the doors of a site: one of each thing an address names."""

from __future__ import annotations

import io
from dataclasses import dataclass
from uuid import uuid4

from PIL import Image

from apps.accounts.models import ApiClient, Role, Site, User
from apps.accounts.services import rotate_secret
from apps.core.clock import now
from apps.fraud.backtest import Tally
from apps.fraud.models import (
    Act,
    Alert,
    Backtest,
    Case,
    Contest,
    Decision,
    Disposition,
    Ground,
    ListEntry,
    ListKind,
    ListName,
    OperatingProposal,
    PassThroughPolicy,
    RuleSet,
    Source,
    Verdict,
)
from apps.fraud.services.cases import open_case
from apps.fraud.services.drain import drain_shard
from apps.fraud.services.gather import gather_alerts
from apps.fraud.services.ingest import ingest_transactions
from apps.fraud.services.lists import add_entry
from apps.fraud.validation import check_events
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
from apps.radiology.exports import archive_path
from apps.radiology.headers import as_json
from apps.radiology.models import (
    Analysis,
    Communication,
    Correction,
    Destination,
    DicomNode,
    DicomPeer,
    Discrepancy,
    Dispatch,
    Export,
    ExportState,
    Exposure,
    Finding,
    Instance,
    KeptAside,
    PatientMerge,
    PieceUpload,
    Read,
    ReadingPolicy,
    ReadState,
    RejectionNote,
    ReportDocument,
    ReportPolicy,
    ReportTemplate,
    Result,
    ResultKind,
    Study,
)
from apps.radiology.results import basis_of
from apps.radiology.store import aside_path, film_path, write_picture
from ml.radiology.contracts import InstanceHeader
from tests.fraud.conftest import event
from tests.radiology.conftest import film_file


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
    study, instance = _film(site)
    job, version = _model(site, "fraud")
    _, film_version = _model(site, "radiology")
    _called(instance, version)
    user = User.objects.create_user(f"someone@{site.slug}.example", site=site, role=Role.AUDITOR)
    read = _signed(study, user)
    decision = _decision(source)
    alert = decision.alert
    Discrepancy.objects.create(study=study, read=read, label="Effusion", kind="ai", opened_at=now())
    return Things(
        user=user,
        client=client,
        token=rotate_secret(client),
        study=study,
        instance=instance,
        correction=_correction(instance),
        aside=_aside(instance),
        rejection=_rejection(site),
        merge=_merge(site, user),
        upload=_upload(user),
        result=_result(study),
        decision=decision,
        disposition=_disposed(alert, user),
        act=Act.objects.create(site=site, kind="block", decision=decision, by=user, at=now()),
        case=open_case(title="x", alerts=[alert], by=user),
        contest=Contest.objects.create(
            site=site, source=source, contest_id=f"contest-{site.slug}", decision=decision, opened_at=now()
        ),
        ruleset=_ruleset(site, user),
        policy=_policy(site, user),
        backtest=_backtest(site, user),
        proposal=_proposal(version, user),
        entry=add_entry(
            site=site, name=ListName.ALLOW, kind=ListKind.COUNTRY, value="BE", reason="x", expires_at=None,
            author=user,
        ),
        source=source,
        node=DicomNode.objects.create(site=site, AETitle=site.slug.upper()),
        peer=DicomPeer.objects.create(site=site, AETitle=site.slug.upper(), host="127.0.0.1", port=9),
        export=_export(site),
        # Concurrent, or what the model said would open to nobody here.
        reading=ReadingPolicy.objects.create(site=site, concurrent=True),
        read=read,
        communication=Communication.objects.create(
            site=site, read=read, finding="x", identified_at=now()
        ),
        dispatch=_dispatch(read),
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


def _ruleset(site: Site, author: User) -> RuleSet:
    """Numbers are a site's own, so each site has one that the others do not have."""
    number = 1000 + site.pk
    return RuleSet.objects.create(
        site=site, number=number, rules=[], author=author, note="x", created_at=now()
    )


def _policy(site: Site, proposer: User) -> PassThroughPolicy:
    return PassThroughPolicy.objects.create(
        site=site, number=1000 + site.pk, probability=0.01, daily_cap_minor=100, note="x",
        proposed_by=proposer, proposed_at=now(),
    )  # fmt: skip


def _backtest(site: Site, by: User) -> Backtest:
    return Backtest.objects.create(
        site=site, rules=[], days=7, by=by, asked_at=now(), first_id=0, at_id=0, last_id=9,
        tally=Tally.empty(0).as_json(), moved_at=now(),
    )  # fmt: skip


def _proposal(version: ModelVersion, by: User) -> OperatingProposal:
    return OperatingProposal.objects.create(
        site=by.site, version=version, method="trained", review=0.5, decline=0.9, asked={}, came_to={},
        note="x", loosens=True, by=by, at=now(),
    )  # fmt: skip


def _picture() -> bytes:
    file = io.BytesIO()
    Image.new("L", (8, 8)).save(file, "PNG")
    return file.getvalue()


def _film(site: Site) -> tuple[Study, Instance]:
    uid, sha256 = f"1.2.3.{site.pk}", f"{site.pk:064d}"
    study = Study.objects.create(site=site, StudyInstanceUID=uid, received_at=now(), changed_at=now())
    write_picture(site, sha256, _picture())
    film_path(site, sha256).write_bytes(b"a film")
    instance = Instance.objects.create(
        study=study, site=site, SOPInstanceUID=f"{uid}.1", SOPClassUID="1.2", SeriesInstanceUID=f"{uid}.0",
        TransferSyntaxUID="1.2.840.10008.1.2.1", Rows=8, Columns=8, file_sha256=sha256, content_sha256=sha256,
        file_bytes=6, has_picture=True, origin="stow", received_at=now(),
    )  # fmt: skip
    return study, instance


def _called(instance: Instance, version: ModelVersion) -> None:
    analysis = Analysis.objects.create(instance=instance, version=version, pixel_sha256="", at=now())
    Finding.objects.create(
        analysis=analysis,
        label="Effusion",
        probability=0.9,
        operating_point=0.5,
        positive=True,
        attention=b"png",
    )


def _correction(instance: Instance) -> Correction:
    uid = instance.study.StudyInstanceUID
    header = InstanceHeader(
        instance.SOPInstanceUID, "1.2", uid, f"{uid}.0", instance.TransferSyntaxUID, Rows=8
    )
    sha256 = f"{instance.site_id + 1000:064d}"
    header_json = as_json(header)
    return Correction.objects.create(
        site=instance.site, instance=instance, before=header_json, after={**header_json, "PatientID": "1"},
        changes_identity=True, before_sha256=instance.file_sha256, after_sha256=sha256, after_bytes=6,
        before_content_sha256=instance.content_sha256, after_content_sha256=sha256, sender="x",
        received_at=now(),
    )  # fmt: skip


def _rejection(site: Site) -> RejectionNote:
    return RejectionNote.objects.create(
        site=site, SOPInstanceUID=f"1.2.4.{site.pk}", code="113001", file_sha256="", content_sha256="",
        sender="x", received_at=now(),
    )  # fmt: skip


def _merge(site: Site, by: User) -> PatientMerge:
    return PatientMerge.objects.create(
        site=site, from_patient="1", into_patient="2", note="x", at=now(), by=by
    )


def _upload(user: User) -> PieceUpload:
    return PieceUpload.objects.create(site=user.site, user=user, name="x", size=1, touched_at=now())


def _signed(study: Study, reader: User) -> Read:
    return Read.objects.create(
        study=study, reader=reader, state=ReadState.FINAL, ai_exposure=Exposure.NONE, text="x",
        opened_at=now(), committed_at=now(), signed_at=now(),
    )  # fmt: skip


def _dispatch(read: Read) -> Dispatch:
    """Of its report, which is made, and waits."""
    site = read.study.site
    uid, sha256 = f"1.2.6.{site.pk}", f"{site.pk + 3000:064d}"
    path = film_path(site, sha256)
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"a report")
    document = ReportDocument.objects.create(
        site=site, study=read.study, read=read, kind="sr", number=1, SOPClassUID="1.2",
        SOPInstanceUID=uid, SeriesInstanceUID=f"{uid}.0",
        file_sha256=sha256, due_at=now(),
    )  # fmt: skip
    to = Destination.objects.create(site=site, name="PACS", AETitle="PACS", host="pacs.invalid", port=104)
    return Dispatch.objects.create(destination=to, document=document, created_at=now(), due_at=now())


def _result(study: Study) -> Result:
    uid, sha256 = f"1.2.5.{study.site_id}", f"{study.site_id + 2000:064d}"
    path = film_path(study.site, sha256)
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"a report")
    return Result.objects.create(
        site=study.site, study=study, kind=ResultKind.REPORT, SOPClassUID="1.2", SOPInstanceUID=uid,
        SeriesInstanceUID=f"{uid}.0", TransferSyntaxUID="1.2.840.10008.1.2.1", file_sha256=sha256,
        file_bytes=8, basis=basis_of(study), made_at=now(),
    )  # fmt: skip


def _export(site: Site) -> Export:
    export = Export.objects.create(
        site=site, project="x", state=ExportState.READY, asked_at=now(), due_at=now(), made_at=now()
    )
    archive_path(export).parent.mkdir(parents=True)
    archive_path(export).write_bytes(b"a tar")
    return export


def _aside(instance: Instance) -> KeptAside:
    film_path(instance.site, instance.file_sha256).write_bytes(film_file())
    path = aside_path(instance.site, instance.file_sha256)
    path.parent.mkdir()
    path.with_suffix(".png").write_bytes(b"a picture")
    return KeptAside.objects.create(
        site=instance.site, instance=instance, header={}, file_sha256=instance.file_sha256, file_bytes=6,
        content_sha256=f"{instance.site_id:064d}", has_picture=True, sender="x", received_at=now(),
    )  # fmt: skip


def _decision(source: Source) -> Decision:
    """Large enough for an alert, which lies in a work item."""
    given = event(f"event-{source.slug}", card_token=f"card-{source.slug}", amount_minor=600_000)
    events = check_events([given])
    ingest_transactions(source=source, events=events)
    decided = Decision.objects.filter(transaction__source=source)
    for shard in source.transactions.values_list("shard", flat=True):
        drain_shard(shard)
    gather_alerts()
    return decided.get()


def _disposed(alert: Alert, by: User) -> Disposition:
    made = Disposition.objects.create(
        site=alert.site, batch=uuid4(), item=alert.item, verdict=Verdict.CANNOT_TELL,
        reason=Ground.TOO_LITTLE, by=by, at=now(),
    )  # fmt: skip
    made.alerts.add(alert)
    return made


def _model(site: Site, domain: str) -> tuple[TrainingJob, ModelVersion]:
    dataset = DatasetSnapshot.objects.create(site=site, domain=domain, name="x", manifest_sha256="")
    job = TrainingJob.objects.create(site=site, domain=domain, dataset=dataset, preset="tiny")
    model, _ = Model.objects.get_or_create(domain=domain)
    version = ModelVersion.objects.create(
        model=model, number=site.pk, artefact_hash=f"{site.pk:064d}", dataset=dataset, job=job
    )
    return job, version
