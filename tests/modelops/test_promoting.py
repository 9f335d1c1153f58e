"""Two people with fresh codes promote what the gate let pass; one rolls back; the first is the operator's."""

from __future__ import annotations

import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, transaction
from django.test import Client
from django.urls import reverse

from apps.accounts import second_factor
from apps.accounts.services import enrol_totp
from apps.audit.models import AuditEvent
from apps.core.errors import LynceusError
from apps.modelops.common.selectors import artefact_dir, champion
from apps.modelops.models import Model, PromotionRequest, TrainingJob
from apps.modelops.promotion import gate_views
from apps.modelops.promotion.services import promotion
from apps.modelops.promotion.services.promotion import install_first_champion
from tests.modelops.test_gate import checked
from tests.modelops.test_version import address_of
from tests.promoting import CODE_AGAIN, code_of, put_in_service, signed_in, signed_in_with_code


@pytest.fixture
def ada(make_user):
    return make_user("ml_admin", full_name="Ada North")


@pytest.fixture
def bo(make_user):
    return make_user("ml_admin", email="bo@example.org", full_name="Bo West")


@pytest.fixture
def passed(make_version, site):
    """A candidate that the gate let pass against the champion, version 1."""
    install_first_champion(make_version(), by=None, site=site)
    version = make_version()
    assert checked(version, site).passed
    return version


@pytest.fixture
def asked(passed, ada, site) -> PromotionRequest:
    return promotion.ask_to_promote(passed, by=ada, site=site)


def decide(client: Client, asked: PromotionRequest, decision: str):
    return client.post(reverse("modelops:decide", args=[asked.pk]), {"decision": decision}, follow=True)


def places() -> tuple[int | None, ...]:
    """Numbers of champion, previous, challenger."""
    model = Model.objects.select_related("champion", "previous", "challenger").get()
    return tuple(one and one.number for one in (model.champion, model.previous, model.challenger))


def test_it_works(passed, ada, bo) -> None:
    first, second = signed_in_with_code(ada), signed_in_with_code(bo)
    assert "Ask to promote" in first.get(address_of(passed)).content.decode()
    told = first.post(address_of(passed, "ask"), follow=True).content.decode()
    assert "waits for a second person" in told
    assert "Somebody else decides" in told
    assert places() == (1, None, 2)
    assert "Ada North asked to promote" in " ".join(second.get("/models/").content.decode().split())
    asked = PromotionRequest.objects.get()
    answer = decide(second, asked, "promote").content.decode()
    assert "Version 2 is in service" in answer
    assert "promoted by Bo West" in answer
    assert places() == (2, 1, None)
    assert champion("testing") == passed
    assert passed.promotions.get().by == bo
    actions = AuditEvent.objects.filter(subject=f"version:{passed.pk}").order_by("pk")
    assert [*actions.values_list("action", "actor")][-2:] == [
        ("promotion.asked", f"user:{ada.pk}"), ("version.promoted", f"user:{bo.pk}"),
    ]  # fmt: skip


# The gate's evidence


def test_without_the_gates_word_nothing_is_asked_for(make_version, ada, site) -> None:
    install_first_champion(make_version(), by=None, site=site)
    client = signed_in_with_code(ada)
    unchecked, refused = make_version(), make_version(how="bad")
    checked(refused, site)
    for version, says in ((unchecked, "Check it at the gate first"), (refused, "The gate refused it: AUC.")):
        answer = client.post(address_of(version, "ask"))
        assert answer.status_code == 409
        assert says in answer.content.decode()
    assert client.post(address_of(champion("testing"), "ask")).status_code == 409
    assert not PromotionRequest.objects.exists()


def test_without_the_guard_what_the_gate_refused_would_serve(
    make_version, ada, bo, site, monkeypatch
) -> None:
    install_first_champion(make_version(), by=None, site=site)
    bad = make_version(how="bad")
    run = checked(bad, site)
    monkeypatch.setattr(promotion, "_evidence", lambda version, model: run)
    asked = promotion.ask_to_promote(bad, by=ada, site=site)
    promotion.approve_promotion(asked, by=bo, site=site)
    assert champion("testing") == bad


def test_its_word_holds_only_against_the_champion_it_was_held_against(
    asked, passed, make_version, bo, site
) -> None:
    put_in_service(make_version())
    answer = decide(signed_in_with_code(bo), asked, "promote")
    assert answer.status_code == 409
    assert "withdraw the request and check again" in answer.content.decode()
    assert places() == (3, 1, 2)
    client = signed_in(bo)
    assert "this was not held against it: check again" in client.get(address_of(passed)).content.decode()


def test_one_request_at_a_time(asked, make_version, ada, site) -> None:
    other = make_version()
    checked(other, site)
    with pytest.raises(LynceusError) as caught:
        promotion.ask_to_promote(other, by=ada, site=site)
    assert (caught.value.code, places()) == ("request_open", (1, None, 2))


def test_what_was_damaged_since_is_not_promoted(asked, passed, bo) -> None:
    (artefact_dir(passed) / "manifest.json").write_text("{}")
    assert decide(signed_in_with_code(bo), asked, "promote").status_code == 409
    assert places() == (1, None, 2)
    assert PromotionRequest.objects.get().status == "open"


# Two people


def test_who_asked_does_not_decide(asked, ada) -> None:
    client = signed_in_with_code(ada)
    for decision in ("promote", "refuse"):
        answer = decide(client, asked, decision)
        assert answer.status_code == 403
        assert "somebody else decides" in answer.content.decode()
    assert places() == (1, None, 2)


def test_without_the_check_the_database_still_wants_two(asked, ada, site, monkeypatch) -> None:
    monkeypatch.setattr(promotion, "_require_another", lambda asked, by: None)
    with pytest.raises(IntegrityError), transaction.atomic():
        promotion.approve_promotion(asked, by=ada, site=site)
    assert places() == (1, None, 2)
    # Sabotage: without either, one person would do.
    monkeypatch.setattr(promotion, "_decide", lambda asked, status, by: None)
    promotion.approve_promotion(asked, by=ada, site=site)
    assert places() == (2, 1, None)


def test_a_second_person_refuses_and_who_asked_withdraws(asked, passed, ada, bo, site) -> None:
    assert decide(signed_in_with_code(bo), asked, "withdraw").status_code == 403
    assert "refused" in decide(signed_in_with_code(bo), asked, "refuse").content.decode()
    assert places() == (1, None, None)
    again = promotion.ask_to_promote(passed, by=ada, site=site)
    assert "withdrawn" in decide(signed_in_with_code(ada), again, "withdraw").content.decode()
    assert places() == (1, None, None)
    assert decide(signed_in_with_code(bo), again, "promote").status_code == 409
    assert [*PromotionRequest.objects.order_by("pk").values_list("status", flat=True)] == [
        "refused", "withdrawn",
    ]  # fmt: skip


def test_another_word_is_no_decision(asked, bo) -> None:
    assert decide(signed_in_with_code(bo), asked, "maybe").status_code == 422


def test_another_sites_request_is_not_found(asked, stranger) -> None:
    assert decide(stranger, asked, "refuse").status_code == 404
    assert PromotionRequest.objects.get().status == "open"


# A fresh code


def test_who_has_no_second_factor_is_led_to_set_one_up(passed, ada) -> None:
    answer = signed_in(ada).post(address_of(passed, "ask"))
    assert answer.headers["Location"] == "/accounts/2fa/totp/activate/"
    assert not PromotionRequest.objects.exists()


def test_after_the_code_it_goes_on_by_itself(passed, ada) -> None:
    client, code = signed_in(ada), code_of(ada)
    way = client.post(address_of(passed, "ask")).headers["Location"]
    assert way.startswith(CODE_AGAIN)
    assert not PromotionRequest.objects.exists()
    client.post(way, {"code": "000000"})
    assert not PromotionRequest.objects.exists()
    assert client.post(way, {"code": code}).headers["Location"] == address_of(passed)
    assert PromotionRequest.objects.get().asked_by == ada


def test_a_code_of_a_while_ago_is_asked_for_again(asked, bo, monkeypatch) -> None:
    client = signed_in_with_code(bo)
    monkeypatch.setattr(second_factor, "FRESH_S", -1)
    answer = client.post(reverse("modelops:decide", args=[asked.pk]), {"decision": "promote"})
    assert answer.headers["Location"].startswith(CODE_AGAIN)
    assert places() == (1, None, 2)


def test_without_the_guard_a_password_would_do(passed, ada, monkeypatch) -> None:
    enrol_totp(ada)
    monkeypatch.setattr(gate_views, "ask_for_second_factor", lambda request: None)
    signed_in(ada).post(address_of(passed, "ask"))
    assert PromotionRequest.objects.exists()


def test_it_takes_a_post_with_its_token(passed, ada) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(ada)
    assert client.post(address_of(passed, "ask")).status_code == 403
    assert client.get(address_of(passed, "ask")).status_code == 405


# Rolling back


@pytest.fixture
def promoted(asked, passed, bo, site):
    promotion.approve_promotion(asked, by=bo, site=site)
    return passed


def test_one_person_rolls_back_at_once(promoted, ada) -> None:
    client = signed_in_with_code(ada)
    page = client.get(address_of(promoted)).content.decode()
    before = Model.objects.get().previous
    assert address_of(before, "back") in page
    answer = client.post(address_of(before, "back"), follow=True)
    assert "Version 1 is back in service" in answer.content.decode()
    assert places() == (1, None, None)
    told = AuditEvent.objects.get(action="version.rolled_back")
    assert (told.subject, told.detail) == (f"version:{before.pk}", {"left": promoted.pk})
    # What was left comes back by the gate and two people alone.
    assert client.post(address_of(promoted, "back")).status_code == 409
    assert client.post(address_of(promoted, "ask")).status_code == 302
    assert places() == (1, None, 2)


def test_rolling_back_takes_a_code_too(promoted, ada) -> None:
    code_of(ada)
    before = Model.objects.get().previous
    assert signed_in(ada).post(address_of(before, "back")).headers["Location"].startswith(CODE_AGAIN)
    assert places() == (2, 1, None)


def test_without_the_guard_one_person_could_go_anywhere(
    promoted, make_version, ada, site, monkeypatch
) -> None:
    unchecked = make_version()
    with pytest.raises(LynceusError) as caught:
        promotion.roll_back(unchecked, by=ada, site=site)
    assert caught.value.code == "not_previous"
    # Sabotage: the row that says what served before is made to say otherwise.
    Model.objects.update(previous=unchecked)
    promotion.roll_back(unchecked, by=ada, site=site)
    assert champion("testing") == unchecked


def test_a_damaged_version_is_not_rolled_back_to(promoted, ada) -> None:
    before = Model.objects.get().previous
    (artefact_dir(before) / "manifest.json").write_text("{}")
    assert signed_in_with_code(ada).post(address_of(before, "back")).status_code == 409
    assert places() == (2, 1, None)


# The first


def test_the_terminal_puts_in_the_first_champion_and_no_other(passed, site) -> None:
    assert AuditEvent.objects.filter(action="version.installed").count() == 1
    jobs = TrainingJob.objects.count()
    with pytest.raises(CommandError, match="Version 1 serves already"):
        call_command("train", "testing", "--dataset", "small", "--preset", "tiny", "--promote")
    assert TrainingJob.objects.count() == jobs
    with pytest.raises(LynceusError, match="Version 1 serves already"):
        install_first_champion(passed, by=None, site=site)
    assert places() == (1, None, None)


def test_without_the_guard_the_terminal_would_replace_it(passed, site, monkeypatch) -> None:
    monkeypatch.setattr(promotion, "require_no_champion", lambda domain: None)
    install_first_champion(passed, by=None, site=site)
    assert champion("testing") == passed
