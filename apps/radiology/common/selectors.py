"""Reads: one study, its findings. All but the list of labels is cut to one site."""

from __future__ import annotations

from collections.abc import Collection
from uuid import UUID

from django.db.models import Max, QuerySet

from apps.accounts.models import Site
from apps.accounts.services import site_is_open
from apps.core.clock import now
from apps.modelops.common.selectors import champion
from apps.radiology.models import NOT_REJECTED, OPEN, Analysis, DicomNode, Finding, Instance, Status, Study


def study_for(site: Site, public_id: UUID) -> Study | None:
    return Study.objects.filter(site=site, public_id=public_id, withdrawn=False).first()


def study_by_uid(site: Site, study_uid: str) -> Study | None:
    return Study.objects.filter(site=site, StudyInstanceUID=study_uid, withdrawn=False).first()


def instance_for(site: Site, public_id: UUID) -> Instance | None:
    found = Instance.objects.select_related("study", "site").filter(NOT_REJECTED, site=site)
    return found.filter(public_id=public_id).first()


def instance_by_uids(site: Site, study_uid: str, series_uid: str, instance_uid: str) -> Instance | None:
    return (
        Instance.objects.select_related("site")
        .filter(
            NOT_REJECTED,
            site=site,
            study__StudyInstanceUID=study_uid,
            SeriesInstanceUID=series_uid,
            SOPInstanceUID=instance_uid,
        )
        .first()
    )


def instances_of(study: Study) -> list[Instance]:
    used = study.instances.filter(NOT_REJECTED).select_related("site")
    return list(used.order_by("SeriesInstanceUID", "SOPInstanceUID"))


def first_to_show(instances: list[Instance]) -> Instance | None:
    """An analysed film before one that only can be seen, that before the rest."""
    order = sorted(instances, key=lambda one: (one.status != Status.ANALYSED, not one.has_picture))
    return order[0] if order else None


def latest_analysis(instance: Instance) -> Analysis | None:
    return (
        instance.analyses.select_related("version__model")
        .prefetch_related("findings")
        .order_by("-pk")
        .first()
    )


def findings_of(analysis: Analysis | None) -> list[Finding]:
    """The strongest against its operating point first."""
    if analysis is None:
        return []
    return sorted(analysis.findings.all(), key=strength, reverse=True)


def attention_of(instance: Instance, label: str) -> bytes | None:
    """The overlay of the latest analysis for this finding, a PNG, if the model called it."""
    said = latest_analysis(instance)
    kept = next((one.attention for one in findings_of(said) if one.label == label), None)
    return None if kept is None else bytes(kept)


def findings_of_study(study: Study) -> list[Finding]:
    """Per label the instance where it is most probable, by each instance's latest analysis."""
    return strongest_findings([study.pk])[study.pk]


def strongest_findings(study_ids: Collection[int]) -> dict[int, list[Finding]]:
    """As `findings_of_study` of each. Always two queries."""
    best: dict[int, dict[str, Finding]] = {study_id: {} for study_id in study_ids}
    for analysis in _speaking(study_ids).select_related("instance"):
        held = best[analysis.instance.study_id]
        for finding in analysis.findings.all():
            if finding.label not in held or finding.probability > held[finding.label].probability:
                held[finding.label] = finding
    return {study_id: sorted(held.values(), key=strength, reverse=True) for study_id, held in best.items()}


def findings_by_instance(study: Study) -> dict[int, list[Finding]]:
    """Per analysed instance what its latest analysis found, the strongest first. Always two queries."""
    return {analysis.instance_id: findings_of(analysis) for analysis in _speaking([study.pk])}


def _speaking(study_ids: Collection[int]) -> QuerySet[Analysis]:
    """The latest analysis of each instance that was analysed, with its findings."""
    analysed = Analysis.objects.filter(
        instance__study__in=study_ids, instance__status=Status.ANALYSED, instance__rejected_by=None
    )
    latest = analysed.values("instance").annotate(last=Max("pk")).values("last")
    return Analysis.objects.filter(pk__in=latest).prefetch_related("findings").order_by("pk")


def strength(finding: Finding) -> tuple[bool, float]:
    """Those without an operating point come last."""
    point = finding.operating_point
    return finding.positive, -1.0 if point is None else finding.probability - point


def version_of_study(study: Study) -> int | None:
    """The number of the version that spoke last about any of its instances."""
    spoken = Analysis.objects.filter(instance__study=study, instance__rejected_by=None)
    last = spoken.select_related("version").order_by("-pk").first()
    return last.version.number if last else None


def labels_in_service() -> list[str]:
    """The labels of the last analysis: what the worklist may be narrowed to."""
    last = Analysis.objects.prefetch_related("findings").order_by("-pk").first()
    return [] if last is None else sorted(finding.label for finding in last.findings.all())


def node_titled(title: str) -> DicomNode | None:
    node = DicomNode.objects.select_related("site").filter(AETitle=title, is_active=True).first()
    return node if node and site_is_open(node.site) else None


def queue_age() -> tuple[int, float | None]:
    """(instances not analysed yet, age of the oldest in seconds), for /status."""
    waiting = Instance.objects.filter(NOT_REJECTED, status__in=OPEN).order_by("received_at")
    oldest = waiting.first()
    return waiting.count(), (now() - oldest.received_at).total_seconds() if oldest else None


def model_in_service() -> str:
    version = champion("radiology")
    if version is None:
        raise RuntimeError("no version is in service: films are stored and wait")
    return f"version {version.number} in service"
