"""Which version serves, and which stand beside it. Each move is one transaction under the lock of the
domain's row; workers notice another champion and load it before their next batch.

A candidate that passed the gate against the present champion is promoted by two people. One may roll back to
what served before, at once. The domain's very first champion is put in by the operator at the terminal.
"""

from __future__ import annotations

from django.db import transaction

from apps.accounts.models import Site, User
from apps.audit.services import record
from apps.core.clock import now
from apps.core.errors import LynceusError
from apps.modelops.common.gate_selectors import latest_gate_run
from apps.modelops.common.selectors import artefact_dir, champion
from apps.modelops.models import GateRun, Model, ModelVersion, Promotion, PromotionRequest
from ml.common.artefact import ArtefactError, open_artefact

Status = PromotionRequest.Status


def require_no_champion(domain: str) -> None:
    """LynceusError 409 where one serves already."""
    if (serving := champion(domain)) is not None:
        raise LynceusError(
            "champion_exists",
            f"Version {serving.number} serves already: another one is promoted on its page, by the gate and"
            " by two people. Only a domain's very first champion is put in here.",
            status=409,
        )


@transaction.atomic
def install_first_champion(version: ModelVersion, *, by: User | None, site: Site) -> None:
    """The operator's. LynceusError 409 where another version serves, or for an artefact that is not whole."""
    model = _locked(version)
    if model.champion_id == version.pk:
        return
    require_no_champion(model.domain)
    _serve(model, version, by)
    record("version.installed", site=site, actor=by, subject=f"version:{version.pk}")


@transaction.atomic
def ask_to_promote(version: ModelVersion, *, by: User, site: Site) -> PromotionRequest:
    """LynceusError 409: it serves already, the gate did not let it pass against the present champion, or what
    somebody asked before is undecided."""
    model = _locked(version)
    if model.champion_id == version.pk:
        raise LynceusError("already_champion", "This version serves already.", status=409)
    run = _evidence(version, model)
    _require_none_open(model)
    asked = PromotionRequest.objects.create(version=version, gate_run=run, asked_by=by, asked_at=now())
    model.challenger = version
    model.save(update_fields=["challenger"])
    _record("promotion.asked", asked, by, site)
    return asked


@transaction.atomic
def approve_promotion(request: PromotionRequest, *, by: User, site: Site) -> None:
    """The second person's. LynceusError 403 for who asked, 409 where it was decided, where another version
    serves than the gate held it against, or for an artefact that is not whole."""
    model, asked = _open_request(request)
    _require_another(asked, by)
    _require_same_champion(asked, model)
    _decide(asked, Status.PROMOTED, by)
    _serve(model, asked.version, by)
    _record("version.promoted", asked, by, site)


@transaction.atomic
def refuse_promotion(request: PromotionRequest, *, by: User, site: Site) -> None:
    """The second person's. LynceusError as in `approve_promotion`."""
    model, asked = _open_request(request)
    _require_another(asked, by)
    _decide(asked, Status.REFUSED, by)
    _leave(model)
    _record("promotion.refused", asked, by, site)


@transaction.atomic
def withdraw_promotion(request: PromotionRequest, *, by: User, site: Site) -> None:
    """The asker's. LynceusError 403 for anybody else, 409 where it was decided."""
    model, asked = _open_request(request)
    if asked.asked_by_id != by.pk:
        raise LynceusError("not_yours", "Only who asked may withdraw it; you may refuse it.", status=403)
    _decide(asked, Status.WITHDRAWN, by)
    _leave(model)
    _record("promotion.withdrawn", asked, by, site)


@transaction.atomic
def roll_back(version: ModelVersion, *, by: User, site: Site) -> None:
    """From the champion back to what served before it, by one person. What is left comes back by the gate and
    two people alone.

    LynceusError 409 if `version` is not what served before, or its artefact is not whole.
    """
    model = _locked(version)
    if model.previous_id != version.pk or model.champion_id == version.pk:
        raise LynceusError(
            "not_previous",
            "Only what served right before the champion is rolled back to by one person.",
            status=409,
        )
    left = model.champion_id
    _serve(model, version, by)
    model.previous = None
    model.save(update_fields=["previous"])
    record("version.rolled_back", site=site, actor=by, subject=f"version:{version.pk}", detail={"left": left})


def _locked(version: ModelVersion) -> Model:
    """Until the transaction ends nobody else moves a version of this domain."""
    return Model.objects.select_for_update().get(pk=version.model_id)


def _evidence(version: ModelVersion, model: Model) -> GateRun:
    run = latest_gate_run(version)
    if run is None or run.status != GateRun.Status.DONE or run.champion_id != model.champion_id:
        raise LynceusError(
            "gate_needed", "Check it at the gate first, against the version that serves now.", status=409
        )
    if not run.passed:
        failed = ", ".join(line["title"] for line in run.lines if not line["passed"])
        raise LynceusError("gate_refused", f"The gate refused it: {failed}.", status=409)
    return run


def _open_request(request: PromotionRequest) -> tuple[Model, PromotionRequest]:
    model = _locked(request.version)
    asked = PromotionRequest.objects.select_related("version__model", "gate_run").get(pk=request.pk)
    if asked.status != Status.OPEN:
        raise LynceusError("already_decided", "It was decided already: reload the page.", status=409)
    return model, asked


def _require_none_open(model: Model) -> None:
    waiting = PromotionRequest.objects.filter(version__model=model, status=Status.OPEN)
    if (open_one := waiting.select_related("version").first()) is not None:
        raise LynceusError(
            "request_open",
            f"Version {open_one.version.number} waits to be promoted: that is decided first.",
            status=409,
        )


def _require_same_champion(asked: PromotionRequest, model: Model) -> None:
    if asked.gate_run.champion_id != model.champion_id:
        raise LynceusError(
            "gate_outdated",
            "Another version serves now than the gate held this one against: withdraw the request and check"
            " again.",
            status=409,
        )


def _require_another(asked: PromotionRequest, by: User) -> None:
    if asked.asked_by_id == by.pk:
        raise LynceusError("four_eyes", "You asked for it: somebody else decides.", status=403)


def _decide(asked: PromotionRequest, status: str, by: User) -> None:
    asked.status, asked.decided_by, asked.decided_at = status, by, now()
    asked.save(update_fields=["status", "decided_by", "decided_at"])


def _leave(model: Model) -> None:
    model.challenger = None
    model.save(update_fields=["challenger"])


def _serve(model: Model, version: ModelVersion, by: User | None) -> None:
    """Under the lock. A version stands in one place: what serves is no challenger and no shadow any more."""
    try:
        open_artefact(artefact_dir(version), version.artefact_hash, kind=model.domain)
    except ArtefactError as error:
        raise LynceusError(f"artefact_{error.code}", error.message, status=409) from error
    model.previous_id, model.champion = model.champion_id, version
    if model.challenger_id == version.pk:
        model.challenger = None
    if model.shadow_id == version.pk:
        model.shadow = None
    model.save(update_fields=["champion", "previous", "challenger", "shadow"])
    Promotion.objects.create(version=version, by=by, at=now())


def _record(action: str, asked: PromotionRequest, by: User, site: Site) -> None:
    record(
        action, site=site, actor=by, subject=f"version:{asked.version_id}",
        detail={"request": asked.pk, "gate_run": asked.gate_run_id, "asked_by": asked.asked_by_id},
    )  # fmt: skip
