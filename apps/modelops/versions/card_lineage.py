"""Where a version comes from: trained here, or imported from where it was."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.urls import reverse

from apps.accounts.models import User
from apps.modelops.models import ImportedVersion, ModelVersion, TrainingJob
from apps.modelops.versions.card_parts import Fact


def lineage_facts(
    version: ModelVersion, origin: ImportedVersion | None, meta: Mapping[str, Any]
) -> list[Fact]:
    lineage = meta.get("lineage") or {}
    facts = [
        *(_imported(origin) if origin else ()),
        *(_trained(version, version.job) if version.job else ()),
        Fact("Commit", _commit(lineage), code=bool(lineage.get("commit"))),
        Fact("Parent", _parent(lineage)),
    ]
    if pretrained := meta.get("pretrained"):
        facts.append(Fact("Began with", str(pretrained.get("file", "pretrained weights"))))
    return facts


def _trained(version: ModelVersion, job: TrainingJob) -> list[Fact]:
    return [
        Fact("Snapshot", version.dataset.name, reverse("modelops:dataset", args=[version.dataset_id])),
        Fact("Job", f"job {job.pk}", reverse("modelops:job", args=[job.pk])),
        Fact("Preset", job.preset),
        Fact("Seed", str(job.seed)),
        Fact("Asked for by", _person(job.requested_by)),
        Fact("Made", f"{version.created_at:%Y-%m-%d %H:%M} UTC"),
    ]


def _imported(origin: ImportedVersion) -> list[Fact]:
    return [
        Fact("Snapshot there", origin.dataset_name),
        Fact("There", f"version {origin.number}"),
        Fact("Preset", str(origin.training["preset"])),
        Fact("Seed", str(origin.training["seed"])),
        Fact("Made", f"{origin.made_at:%Y-%m-%d %H:%M} UTC"),
        Fact("Imported by", _person(origin.by)),
        Fact("Imported", f"{origin.at:%Y-%m-%d %H:%M} UTC"),
        Fact("Signed by", origin.key, code=True),
    ]


def _person(user: User | None) -> str:
    return (user.full_name or user.email) if user else "the command line"


def _commit(lineage: Mapping[str, Any]) -> str:
    commit = lineage.get("commit")
    if not commit:
        return "not known"
    return f"{commit[:12]}, with changes" if lineage.get("changed") else str(commit[:12])


def _parent(lineage: Mapping[str, Any]) -> str:
    """Weights are never taken over: what a version has of its parent is its place."""
    parent = lineage.get("parent")
    return f"version {parent['number']}, in service then" if parent else "none was in service"
