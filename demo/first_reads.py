"""Reads by the second radiologist, so that reports and critical findings have something to show."""

from __future__ import annotations

from apps.accounts.models import User
from apps.core.clock import now
from apps.radiology.models import Channel, Communication, Read, Study
from apps.radiology.reading.services.communications import Told, mark_critical, tell_communication
from apps.radiology.reading.services.reads import add_addendum, begin_read, commit_read, keep_draft, sign_read
from apps.radiology.reading.services.report_text import Written, choose_template, keep_sections
from apps.radiology.studies.reads import Said
from demo.seed import accounts

TEXTS = {
    "indication": "Synthetic film, read for the demonstration.",
    "findings": "Heart and mediastinum: as drawn.\nDevices: catheter, as drawn.",
    "impression": "For the demonstration only.",
}


def read_first_films() -> None:
    """One signed with its critical finding told, one added to, one committed of which nobody was told."""
    reader = User.objects.select_related("site").get(email=accounts()["radiologist2"].email)
    if Communication.objects.filter(site=reader.site).exists():
        return  # the start before this one was cut off here
    # The latest, which nobody ordered and nobody has read in the demo's past.
    unread = Study.objects.filter(site=reader.site, withdrawn=False, read_state="")
    first, second, third = unread.order_by("-pk")[:3]
    read = _committed(first, reader)
    marked = mark_critical(read, "Pneumothorax")
    tell_communication(marked, Told("Ward 3 (demo)", Channel.PHONE, now(), True), by=reader)
    sign_read(read)
    add_addendum(sign_read(_committed(second, reader)), "Compared with the film before it.")
    mark_critical(_committed(third, reader), "Pneumothorax")


def _committed(study: Study, reader: User) -> Read:
    read = begin_read(study, reader)
    choose_template(read, "chest_pa")
    keep_draft(read, {"Effusion": Said("unsure", "L")}, "")
    keep_sections(read, {name: Written(text) for name, text in TEXTS.items()})
    return commit_read(read)
