"""The read panel's doors: begin, keep, commit, sign, add to, take back, let go, and the next study."""

from __future__ import annotations

from uuid import UUID

from django.contrib import messages
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST

from apps.accounts.auth import role_required, user_of
from apps.accounts.models import Role
from apps.core.clock import now
from apps.core.errors import LynceusError
from apps.radiology.common.shortcuts import study_or_404
from apps.radiology.models import Read, Section, Side, Verdict
from apps.radiology.reading.regions import Drawn, drawn_from
from apps.radiology.reading.services.reads import add_addendum, begin_read, commit_read, keep_draft, sign_read
from apps.radiology.reading.services.report_text import Written, keep_sections
from apps.radiology.studies.reads import Said, labels_to_read, read_for, said_by
from apps.radiology.studies.services.locks import hold_lock, release_lock
from apps.radiology.worklist.worklist import next_to_read


@require_POST
@role_required(Role.RADIOLOGIST)
def begin(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """Lock the study and open this reader's draft; with `over` also where somebody else holds it."""
    found = study_or_404(request, public_id)
    try:
        begin_read(found, user_of(request), over="over" in request.POST)
    except LynceusError as error:
        messages.error(request, error.message)
    return redirect("radiology:study", public_id)


@require_POST
@role_required(Role.RADIOLOGIST)
def begin_next(request: HttpRequest) -> HttpResponse:
    """The first study of the worklist that nobody reads; one taken in the same moment is passed over."""
    user = user_of(request)
    while (found := next_to_read(user)) is not None:
        try:
            begin_read(found, user)
        except LynceusError as error:
            if error.code == "study_locked":
                continue
            raise
        return redirect("radiology:study", found.public_id)
    messages.success(request, "Nothing waits to be read.")
    return redirect("radiology:worklist")


@require_POST
@role_required(Role.RADIOLOGIST)
def keep(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """What stands on the panel, kept as it is marked."""
    read = own_read(request, public_id)
    keep_form(request, read)
    return render(request, "radiology/read_kept.html", {"kept_at": now()})


@require_POST
@role_required(Role.RADIOLOGIST)
def hold(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """204 while the lock is still this reader's, 409 once it is not."""
    if not hold_lock(study_or_404(request, public_id), user_of(request)):
        raise LynceusError("lock_lost", "Somebody else reads this study now, or you were away.", status=409)
    return HttpResponse(status=204)


@require_POST
@role_required(Role.RADIOLOGIST)
def commit(request: HttpRequest, public_id: UUID) -> HttpResponse:
    read = own_read(request, public_id)
    keep_form(request, read)
    commit_read(read)
    return redirect("radiology:study", public_id)


@require_POST
@role_required(Role.RADIOLOGIST)
def sign(request: HttpRequest, public_id: UUID) -> HttpResponse:
    read = own_read(request, public_id)
    keep_form(request, read)
    sent = request.POST
    seen, films = sent.get("identity", ""), sent.get("films", "")
    sign_read(read, without_communication="without" in sent, seen=seen, films=films)
    messages.success(request, "Signed.")
    return redirect("radiology:study", public_id)


@require_POST
@role_required(Role.RADIOLOGIST)
def add(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """An addendum; with `retracts` the read was of the wrong patient and counts no more."""
    read, sent = own_read(request, public_id), request.POST
    add_addendum(read, sent.get("addendum", ""), retracts="retracts" in sent, films=sent.get("films", ""))
    return redirect("radiology:study", public_id)


@require_POST
@role_required(Role.RADIOLOGIST)
def release(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """Leave the draft as it stands and let others read the study."""
    found, user = study_or_404(request, public_id), user_of(request)
    read = read_for(user, public_id)
    if read is not None and read.is_open and is_whole(request) and hold_lock(found, user):
        keep_form(request, read)  # what was marked since it was last kept
    release_lock(found, user)
    return redirect("radiology:worklist")


def is_whole(request: HttpRequest) -> bool:
    """Whether the panel's form was sent, and not the bare button."""
    return any(name == "text" or name.startswith("section-") for name in request.POST)


@transaction.atomic
def keep_form(request: HttpRequest, read: Read) -> None:
    keep_draft(read, *_form(request, read))
    if read.sections.exists():
        keep_sections(read, _written(request))


def _written(request: HttpRequest) -> dict[str, Written]:
    """What stands in the sections of a report that began from a template."""
    sent = request.POST
    return {
        name: Written(sent[f"section-{name}"], adopted=f"adopted-{name}" in sent)
        for name in Section.values
        if f"section-{name}" in sent
    }


def _form(request: HttpRequest, read: Read) -> tuple[dict[str, Said], str, list[Drawn] | None]:
    """What was marked of the findings asked for, by the number of each; a word that is no answer is none.
    What is drawn and not marked is present. A panel without a viewer says nothing of regions."""
    drawn = drawn_from(request.POST["regions"]) if "regions" in request.POST else None
    outlined = {one.label for one in drawn or ()}
    said = {}
    for number, label in enumerate(dict.fromkeys([*labels_to_read(), *said_by(read)])):
        verdict = request.POST.get(f"verdict-{number}", "")
        side = request.POST.get(f"side-{number}", "")
        unmarked = Verdict.PRESENT.value if label in outlined else ""
        verdict = verdict if verdict in Verdict.values else unmarked
        said[label] = Said(verdict, side if verdict and side in Side.values else "")
    return said, request.POST.get("text", ""), drawn


def own_read(request: HttpRequest, public_id: UUID) -> Read:
    """404 where this radiologist has begun none."""
    found = read_for(user_of(request), public_id)
    if found is None:
        raise Http404
    return found
