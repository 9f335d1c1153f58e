"""What the read panel and the study's page show of reports and critical findings."""

from __future__ import annotations

from typing import Any

from apps.accounts.models import User
from apps.radiology.documents.reporting import said_in, sections_of, templates_at
from apps.radiology.documents.reports import reports_on
from apps.radiology.models import Read, ReadState, Study
from apps.radiology.studies.flags import flagged_reads, identity_changed, identity_mark


def report_panel(found: Study, user: User, read: Read | None) -> dict[str, Any]:
    context: dict[str, Any] = {
        "reports": reports_on(found, user),
        "otherwise": flagged_reads().filter(study=found).exists(),
    }
    if read is None:
        return context
    marked = list(read.communications.filter(withdrawn_at=None).select_related("told_by").order_by("pk"))
    return context | {
        "templates": templates_at(found.site) if read.is_open else [],
        "sections": [
            {"row": one, "said": bool(said_in(one.offered, one.text, adopted=one.adopted))}
            for one in sections_of(read)
        ],
        "identity": identity_mark(found),
        "critical": marked,
        "untold": [one for one in marked if one.is_open],
        "may_be_critical": read.state != ReadState.RETRACTED,
        "signed_otherwise": identity_changed(read),
    }
