"""The permission table of docs/permissions.md, the doors of the URLconf, and the address of each."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from django.contrib.admindocs.views import simplify_regex
from django.contrib.contenttypes.models import ContentType
from django.urls.resolvers import RegexPattern, URLPattern, URLResolver

from apps.accounts.models import Role, User
from tests.behind_doors import Things

TABLE = Path(__file__).resolve().parents[1] / "docs/permissions.md"
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
ROLES = (*Role.values, "superuser")
SIGN_IN = "login"  # in the table: sent to the sign-in page


@dataclass(frozen=True, slots=True)
class Row:
    """Statuses are numbers or "login". `others` has one for everybody else (""), and one per named role."""

    door: str
    methods: tuple[str, ...]
    may: frozenset[str]
    gets: str
    others: dict[str, str]
    stranger: str
    token: str
    other_site: str

    def expects(self, role: str) -> str:
        if role in self.may or (role == "superuser" and "operator" in self.may):
            return self.gets
        return self.others.get(role) or self.others[""]


def table() -> list[Row]:
    return [_row(line) for line in TABLE.read_text().splitlines() if line.startswith("| `/")]


def _row(line: str) -> Row:
    door, methods, may, gets, others, stranger, token, other_site = _cells(line)
    roles = frozenset(ROLES) if may == "signed in" else frozenset(may.split(", ")) - {"-"}
    assert roles <= set(ROLES), f"{door}: unknown role in {may!r}"
    words = [part.split() for part in others.split(", ")]  # "403" or "operator 403"
    return Row(
        door=door.strip("`"),
        methods=METHODS if methods == "any" else tuple(methods.split(", ")),
        may=roles,
        gets=gets,
        others={" ".join(role): status for *role, status in words},
        stranger=stranger,
        token="" if token == "-" else token,
        other_site="" if other_site == "-" else other_site,
    )


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def doors(resolver: URLResolver, prefix: str = "/") -> Iterator[str]:
    """Every path of a URLconf as people write it: /radiology/studies/<uuid:public_id>/."""
    for entry in resolver.url_patterns:
        part = str(entry.pattern)
        if isinstance(entry.pattern, RegexPattern):
            part = simplify_regex(part).lstrip("/")
        if isinstance(entry, URLResolver):
            yield from doors(entry, prefix + part)
        elif isinstance(entry, URLPattern):
            yield prefix + part


def rows_of(door: str, rows: Iterable[Row]) -> list[Row]:
    """The rows that speak of a door: its own, else those of the longest pattern that covers it."""
    rows = list(rows)
    if own := [row for row in rows if row.door == door]:
        return own
    covering = {row.door for row in rows if "*" in row.door and fnmatch(door, row.door)}
    best = max(covering, key=len, default="")
    return [row for row in rows if row.door == best]


def parameters(door: str, things: Things) -> dict[str, Any]:
    """What fills a door's <parameters>: those of the longest pattern here that covers it."""
    study, instance = things.study, things.instance
    uids = {
        "study_uid": study.StudyInstanceUID,
        "series_uid": instance.SeriesInstanceUID,
        "instance_uid": instance.SOPInstanceUID,
        "frames": 1,
        "place": "00080018",
    }
    known: dict[str, dict[str, Any]] = {
        "/fraud/decisions/*": {"public_id": things.decision.public_id, "chart": "amounts", "kind": "card"},
        "/fraud/items/*": {"item_id": things.decision.alert.item_id},
        "/fraud/views/*": {"view_id": 1},
        "/fraud/dispositions/*": {
            "public_id": things.disposition.public_id,
            "batch": things.disposition.batch,
        },
        "/fraud/acts/*": {"public_id": things.act.public_id},
        "/fraud/cases/*": {"public_id": things.case.public_id},
        "/fraud/contests/*": {"public_id": things.contest.public_id},
        "/fraud/watch/*": {"name": "volume", "listed": "periods"},
        "/fraud/rules/*": {"number": things.ruleset.number, "entry_id": things.entry.pk},
        "/fraud/rules/pass-through/*": {"number": things.policy.number},
        "/fraud/rules/backtests/*": {"public_id": things.backtest.public_id},
        "/radiology/studies/*": {"public_id": study.public_id},
        "/radiology/discrepancies/*": {"public_id": study.public_id},
        "/radiology/instances/*": {"public_id": instance.public_id, "label": "Effusion"},
        "/radiology/corrections/*": {"public_id": things.correction.public_id},
        "/radiology/rejections/*": {"public_id": things.rejection.public_id},
        "/radiology/patients/*": {"merge_id": things.merge.pk},
        "/radiology/views/*": {"view_id": 1},
        "/radiology/uploads/*": {"public_id": things.upload.public_id},
        "/radiology/results/*": {"public_id": things.result.public_id},
        "/radiology/reports/*": {"public_id": things.read.public_id},
        "/radiology/communications/*": {"public_id": things.communication.public_id},
        "/radiology/deliveries/*": {"dispatch_id": things.dispatch.pk},
        "/radiology/exports/*": {"public_id": things.export.public_id},
        "/radiology/aside/*": {"public_id": things.aside.public_id},
        "/dicom-web/*": uids,
        "/api/v1/decisions/*": {"event_id": things.decision.transaction.event_id, "kind": "card"},
        "/api/v1/contests/*": {"contest_id": things.contest.contest_id},
        "/api/v1/studies/*": {"study_instance_uid": study.StudyInstanceUID},
        "/models/*": {"domain": "fraud"},
        "/models/jobs/*": {"job_id": things.job.pk},
        "/models/cross-validations/*": {"cross_validation_id": things.crossed.pk},
        "/models/versions/*": {"version_id": things.version.pk, "chart": "roc", "row": 0},
        "/models/compare/*": {"chart": "roc"},
        "/models/promotions/*": {"request_id": things.promotion.pk},
        "/fraud/operating/*": {"version_id": things.version.pk, "name": "rates"},
        "/fraud/shadow/*": {"version_id": things.version.pk, "name": "scores"},
        "/radiology/shadow/*": {"version_id": things.film_version.pk, "name": "scores"},
        "/fraud/operating/proposals/*": {"proposal_id": things.proposal.pk},
        "/models/datasets/*": {"dataset_id": things.version.dataset_id},
        "/models/freezes/*": {"freeze_id": things.freeze.pk},
        "/models/<slug:domain>/watch/*": {"domain": "fraud", "chart": "volume"},
        "/models/alarms/*": {"alarm_id": things.alarm.pk},
        "/admin/*": {"app_label": "accounts", "url": "nowhere"},
        "/admin/r/*": {"content_type_id": ContentType.objects.get_for_model(User).pk, "object_id": 1},
        "/admin/accounts/user/*": {"object_id": things.user.pk, "id": things.user.pk},
        "/admin/accounts/site/*": {"object_id": things.user.site_id},
        "/admin/accounts/apiclient/*": {"object_id": things.client.pk, "pk": things.client.pk},
        "/admin/radiology/dicomnode/*": {"object_id": things.node.pk},
        "/admin/radiology/dicompeer/*": {"object_id": things.peer.pk},
        "/admin/radiology/readingpolicy/*": {"object_id": things.reading.pk},
        "/admin/radiology/destination/*": {"object_id": things.dispatch.destination_id},
        "/admin/radiology/reporttemplate/*": {"object_id": things.template.pk},
        "/admin/radiology/reportpolicy/*": {"object_id": things.reporting.pk},
        "/admin/modelops/datasetsnapshot/*": {"object_id": things.version.dataset_id},
        "/admin/modelops/trainingjob/*": {"object_id": things.job.pk},
        "/admin/modelops/modelversion/*": {"object_id": things.version.pk},
        "/admin/fraud/source/*": {"object_id": things.source.pk},
    }
    covering = [pattern for pattern in known if fnmatch(door, pattern)]
    return known[max(covering, key=len)] if covering else {}


def address(door: str, things: Things) -> str:
    """The door's URL for one site's thing. KeyError names a parameter that `parameters` does not know."""
    given = parameters(door, things)
    return re.sub(r"<(?:\w+:)?(\w+)>", lambda match: str(given[match[1]]), door)
