"""The first films and transactions, sent once through the doors that everyone uses."""

from __future__ import annotations

import os
import time
import uuid
from pathlib import Path

import httpx
import pydicom
from django.core.management import call_command

from apps.accounts.models import User
from apps.accounts.selectors import site_named
from apps.core.clock import now
from apps.core.encryption import encrypt
from apps.fraud.backtests.services.backtests import start_backtest
from apps.fraud.common.selectors import waiting_for
from apps.fraud.models import Desk
from apps.fraud.rules import builtin_rules
from apps.fraud.work.services.budget import set_capacity
from apps.radiology.copies.services.exports import request_export
from apps.radiology.models import Destination, Export, Study
from demo import seed
from demo.films import dated
from demo.first_contest import contest_and_open_a_case
from demo.first_reads import read_first_films
from demo.places import Places
from demo.prepare import SENT_AT_START

EVENTS_S, EVENTS_RATE = 6.0, 40.0
DECIDED_WITHIN_S = 60.0
CAPACITY = 8  # alerts a day and desk
# What was ordered of the first films; the next one's header says it, and of the rest nobody said anything.
ORDERS = (
    {"priority": "stat", "location": "ER 3", "clinical_question": "Pneumothorax after a central line?"},
    {"location": "Ward 2 West", "clinical_question": "Cough and fever for three days."},
    {"priority": "urgent", "location": "ICU 7", "clinical_question": "Position of the tube? Effusion?"},
    {"location": "Outpatients", "clinical_question": "Before surgery."},
    {"priority": "urgent", "location": "ER 1", "clinical_question": "Short of breath since this morning."},
    {"location": "Ward 4 East", "clinical_question": "Heart failure, follow-up."},
)
IN_HEADER = {
    "RequestedProcedurePriority": "HIGH", "CurrentPatientLocation": "ER 5",
    "ReasonForTheRequestedProcedure": "Pain on breathing in.", "ReferringPhysicianName": "SYNTHETIC^REFERRER",
}  # fmt: skip


def send_first_data(places: Places) -> None:
    done = places.var / "first-data-sent"
    if done.exists():
        return
    films = sorted(places.films.glob("*.dcm"))[:SENT_AT_START]
    _store(films, places)
    _order(films, places)
    _ask_for_a_copy()
    _take_reports(places)
    read_first_films()
    os.environ["LYNCEUS_WEBHOOK_SECRET"] = seed.webhook_secret()
    call_command(
        "stream_transactions", url=places.base_url, source=seed.SOURCE, rate=EVENTS_RATE,
        seconds=EVENTS_S,
    )  # fmt: skip
    contest_and_open_a_case(places.base_url, _token())
    _ask_rules_of_it()
    _set_capacity()
    done.touch()


def _ask_for_a_copy() -> None:
    """The page of de-identified copies is not empty either."""
    site = site_named("demo")
    if not Export.objects.filter(site=site).exists():
        first = Study.objects.filter(site=site).order_by("pk")[:1]
        request_export(site, first, project="demo", labels=[], by=None)


def _set_capacity() -> None:
    """So few that the line lies within the list, and more would catch more."""
    site, by = site_named("demo"), User.objects.get(email=seed.accounts()["analyst"].email)
    for desk in Desk:
        set_capacity(site=site, desk=desk, alerts_per_day=CAPACITY, by=by)


def _ask_rules_of_it() -> None:
    """A backtest of the built-in rules on what was sent, once it is decided."""
    site = site_named("demo")
    end = time.monotonic() + DECIDED_WITHIN_S
    while waiting_for(site) and time.monotonic() < end:
        time.sleep(0.2)
    by = User.objects.get(email=seed.accounts()["analyst"].email)
    start_backtest(site=site, by=by, rules=builtin_rules.RULES, version=builtin_rules.NUMBER, days=7)


def _take_reports(places: Places) -> None:
    """Deliveries are seen to arrive: at our own STOW-RS, which knows its reports again."""
    address = f"{places.base_url}/dicom-web/studies"
    name = "Lynceus itself, for want of a PACS"
    destination = Destination(site=site_named("demo"), name=name, stow_url=address)
    destination.bearer = encrypt(seed.api_token(), bound_to=destination.seal)
    if not Destination.objects.filter(site=destination.site).exists():
        destination.save()


def _store(films: list[Path], places: Places) -> None:
    """One STOW-RS request. Raises httpx.HTTPStatusError if the films are not taken."""
    boundary = uuid.uuid4().hex
    head = f"--{boundary}\r\nContent-Type: application/dicom\r\n\r\n".encode()
    said = [IN_HEADER if n == len(ORDERS) else {} for n, _ in enumerate(films)]
    parts = (dated(film, now(), **header) for film, header in zip(films, said, strict=True))
    body = b"".join(head + part + b"\r\n" for part in parts) + f"--{boundary}--\r\n".encode()
    answer = httpx.post(
        f"{places.base_url}/dicom-web/studies",
        content=body,
        headers={
            **_token(),
            "Content-Type": f'multipart/related; type="application/dicom"; boundary={boundary}',
            "Accept": "application/dicom+json",
        },
        timeout=60,
    )
    answer.raise_for_status()


def _order(films: list[Path], places: Places) -> None:
    """Raises httpx.HTTPStatusError if an order is not taken."""
    for film, order in zip(films, ORDERS, strict=False):
        uid = pydicom.dcmread(film, stop_before_pixels=True).StudyInstanceUID
        address = f"{places.base_url}/api/v1/studies/{uid}/order"
        httpx.patch(address, json=order, headers=_token(), timeout=60).raise_for_status()


def _token() -> dict[str, str]:
    return {"Authorization": f"Bearer {seed.api_token()}"}
