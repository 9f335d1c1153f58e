"""The doors for programs that write, from headers and bytes to an answer in bytes.

`api` puts them behind Django's URLs, and `shortcut` in front of Django for who needs nothing else of it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import structlog
from django.db import InterfaceError, OperationalError
from pydantic import BaseModel

from apps.accounts.auth import Caller, client_of
from apps.audit.services import Actor
from apps.core.aside import on_loop_if_at_hand
from apps.core.errors import LynceusError
from apps.core.recent import recently
from apps.core.signatures import verify
from apps.core.storage import refuse_when_storage_is_low
from apps.fraud.common.selectors import active_source, sources_of
from apps.fraud.decide.services.decide_now import Asked, decide_now
from apps.fraud.decide.services.ingest import ingest_transactions
from apps.fraud.decide.services.pressure import refuse_when_full
from apps.fraud.decide.services.together import Desk
from apps.fraud.models import Source, Transaction
from apps.fraud.serving.services.labels import store_labels
from apps.fraud.serving.services.states import Busy
from apps.fraud.settle.services.contests import open_contest
from apps.fraud.wire.answers import answer_of, contest_out, rescored_of
from apps.fraud.wire.decision_schemas import DecisionOut
from apps.fraud.wire.schemas import LabelReceiptOut, Receipt
from apps.fraud.wire.services.sources import allowed_of, valid_secrets
from apps.fraud.wire.validation import check_contest, check_events, check_labels, deadline_of, parse_body

log = structlog.get_logger(__name__)
BODY_MAX_BYTES = 2 * 1024 * 1024
RETRY_AFTER_S = 1
JSON = "application/json; charset=utf-8"
Headers = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Reply:
    """Status and JSON."""

    status: int
    body: bytes


Door = Callable[[Headers, bytes], Reply]


def receive(headers: Headers, body: bytes) -> Reply:
    """Durable before the 202. All events are stored or none; sending again does no harm."""
    with _stored_or_503():
        source = _signed_source(headers, body)
        refuse_when_full()
        receipt = ingest_transactions(
            source=source, events=check_events(parse_body(body), allowed_of(source))
        )
    return reply(202, Receipt(accepted=receipt.accepted, duplicates=receipt.duplicates))


def decide(headers: Headers, body: bytes) -> Reply:
    """Stored before it is answered. The same event again gets the decision it got."""
    with _stored_or_503():
        return _decided(decide_now(*_asked(headers, body, time.monotonic())))


async def decide_soon(desk: Desk, headers: Headers, body: bytes) -> Reply:
    """As `decide`, on the event loop, together with who asks at the same moment."""
    with _stored_or_503():
        asked, until = await on_loop_if_at_hand(_asked, headers, body, time.monotonic())
        row = await desk.settle(asked, until)
        return await on_loop_if_at_hand(_decided, row)


def _asked(headers: Headers, body: bytes, started: float) -> tuple[Asked, float]:
    """The event and until when (time.monotonic) its decision is waited for."""
    until = started + deadline_of(headers.get("lynceus-deadline-ms")) / 1000
    source, actor = _signed_or_client(headers, body)
    refuse_when_storage_is_low()
    events = parse_body(body)
    if len(events) != 1:
        raise LynceusError("wrong_event_count", "Send one event.", status=422)
    [item] = check_events(events, allowed_of(source))
    return Asked(source, item, actor), until


def _decided(row: Transaction) -> Reply:
    return reply(200, DecisionOut(**answer_of(row), rescored=rescored_of(row)))


def label(headers: Headers, body: bytes) -> Reply:
    """All labels are kept or none; sending again does no harm. The next scores know of them."""
    with _stored_or_503():
        source, actor = _signed_or_client(headers, body)
        labels = check_labels(parse_body(body), allowed_of(source))
        receipt = store_labels(source=source, labels=labels, actor=actor)
    return reply(202, LabelReceiptOut(accepted=receipt.accepted, duplicates=receipt.duplicates))


def contest(headers: Headers, body: bytes) -> Reply:
    """A person looks at the decline again. The same one again gets the same answer, and what came of it."""
    with _stored_or_503():
        source, actor = _signed_or_client(headers, body)
        given = check_contest(parse_body(body), allowed_of(source))
        made = open_contest(source=source, given=given, actor=actor)
    return reply(200, contest_out(made))


def says_who(headers: Headers) -> bool:
    """Whether a program says who it is, rightly or not."""
    return "webhook-signature" in headers or "Authorization" in headers


def reply(status: int, answer: BaseModel) -> Reply:
    return Reply(status, answer.model_dump_json().encode())


def too_large() -> LynceusError:
    return LynceusError("body_too_large", f"Send at most {BODY_MAX_BYTES} bytes.", status=413)


def default_source(caller: Caller) -> str:
    """The source a caller means who names none."""
    if caller.client is not None and caller.client.source_slug:
        return caller.client.source_slug
    slugs = list(sources_of(caller.site).values_list("slug", flat=True)[:2])
    if len(slugs) == 1:
        return slugs[0]
    raise LynceusError("source_required", "Say which source: ?source=...", status=422)


_source = recently(active_source)


@recently
def _source_and_secrets(slug: str) -> tuple[Source, list[str]] | None:
    source = active_source(slug)
    return None if source is None else (source, valid_secrets(source))


def _signed_or_client(headers: Headers, body: bytes) -> tuple[Source, Actor]:
    if "webhook-signature" in headers:
        return _signed_source(headers, body), None
    return _source_of_client(headers)


def _signed_source(headers: Headers, body: bytes) -> Source:
    found = _source_and_secrets(headers.get("lynceus-source", ""))
    if found is None:
        raise _unknown_source()
    source, secrets = found
    verify(headers, body, secrets)
    return source


def _source_of_client(headers: Headers) -> tuple[Source, Actor]:
    """The source a program with a token speaks for: one of its own site. People have no say here."""
    caller = client_of(headers, scope="fraud")
    source = _source(headers.get("lynceus-source") or default_source(caller))
    if source is None or source.site_id != caller.site.pk:
        raise _unknown_source()
    return source, caller.client


def _unknown_source() -> LynceusError:
    return LynceusError("unknown_source", "The header lynceus-source names no active source.", status=401)


@contextmanager
def _stored_or_503() -> Iterator[None]:
    """What the database did not take was not accepted, and the caller hears so."""
    try:
        yield
    except (OperationalError, InterfaceError, Busy) as error:
        log.warning("not_stored", error=type(error).__name__)
        raise LynceusError(
            "not_stored",
            "Nothing was stored: the database did not answer. Send it again.",
            status=503,
            retryable=True,
            retry_after_s=RETRY_AFTER_S,
        ) from None
