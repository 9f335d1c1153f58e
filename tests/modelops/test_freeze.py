"""Freezing from a page: what has come in, what to hold, how far it is, and why not."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.urls import reverse

from apps.audit.models import AuditEvent
from apps.core.clock import now
from apps.core.sweep import sweep_all
from apps.modelops.common.selectors import champion
from apps.modelops.datasets.services import freezes
from apps.modelops.datasets.services.freezes import Overtaken, run_freeze
from apps.modelops.models import DatasetSnapshot, Freeze
from apps.modelops.tasks import freeze_dataset
from tests.promoting import put_in_service

URL = "/models/testing/freeze/"


def ask(admin, name: str = "spring", includes: tuple[str, ...] = ("signed",)):
    return admin.post(URL, {"name": name, "includes": list(includes)})


def work(admin, name: str) -> Freeze:
    ask(admin, name)
    freeze = Freeze.objects.get(name=name)
    freeze_dataset(freeze.pk)
    freeze.refresh_from_db()
    return freeze


def test_it_works(admin, dataset) -> None:
    """From the models page to the dataset's own."""
    page = admin.get("/models/").content.decode()
    assert URL in page
    assert "Signed reads" in page
    answer = ask(admin)
    freeze = Freeze.objects.get()
    there = reverse("modelops:freezing", args=[freeze.pk])
    assert answer.headers["Location"] == there
    assert "It waits for a worker" in admin.get(there).content.decode()
    freeze_dataset(freeze.pk)
    made = DatasetSnapshot.objects.get(name="spring")
    page_of_it = reverse("modelops:dataset", args=[made.pk])
    assert admin.get(there).headers["Location"] == page_of_it
    assert admin.get(there, headers={"HX-Request": "true"}).headers["HX-Redirect"] == page_of_it
    page = admin.get(page_of_it).content.decode()
    assert "no trainer reads it" in page
    assert "films 2" in page
    asked = AuditEvent.objects.get(action="dataset.asked")
    assert asked.detail == {"domain": "testing", "name": "spring", "includes": ["signed"]}


def test_what_came_in_is_counted_from_the_last_time(admin, dataset) -> None:
    page = admin.get(URL).content.decode()
    assert "nothing was frozen yet" in page
    assert ">12<" in "".join(page.split())
    assert 'value="signed"' in page
    work(admin, "spring")
    page = admin.get(URL).content.decode()
    assert reverse("modelops:dataset", args=[DatasetSnapshot.objects.get(name="spring").pk]) in page
    assert ">12<" not in "".join(page.split())


def test_what_was_brought_along_comes_too(admin, dataset, make_version) -> None:
    """Of what teaches what serves, unless somebody wants it otherwise; never of what was frozen here."""
    put_in_service(make_version())
    brought = champion("testing").dataset
    assert f'value="{brought.pk}" selected' in admin.get(URL).content.decode()
    work(admin, "spring")
    own = DatasetSnapshot.objects.get(name="spring")
    assert own.summary["provenance"] == {}
    assert f'value="{own.pk}"' not in admin.get(URL).content.decode()
    assert admin.post(URL, {"name": "june", "includes": ["signed"], "base": own.pk}).status_code == 422
    admin.post(URL, {"name": "summer", "includes": ["signed"], "base": brought.pk})
    freeze_dataset(Freeze.objects.get(name="summer").pk)
    assert DatasetSnapshot.objects.get(name="summer").summary["provenance"] == {"together with": brought.name}


@pytest.mark.parametrize(
    ("name", "includes", "says"),
    [
        ("small", ("signed",), "There is a dataset"),
        ("Large One", ("signed",), "valid"),
        ("UPPER", ("signed",), "lower-case"),
        ("spring", (), "Choose what the dataset is to hold"),
        ("spring", ("patients",), "not one of the available choices"),
    ],
)
def test_what_cannot_be_asked_for_is_said_at_once(admin, dataset, name, includes, says) -> None:
    answer = ask(admin, name, includes)
    assert answer.status_code == 422
    assert says in answer.content.decode()
    assert not Freeze.objects.exists()


def test_one_at_a_time(admin, dataset) -> None:
    ask(admin)
    answer = ask(admin, "summer")
    assert answer.status_code == 422
    assert "being frozen: wait for it" in answer.content.decode()
    assert Freeze.objects.count() == 1


@pytest.mark.parametrize(
    ("name", "says"),
    [("empty", "Nobody has said anything yet."), ("full", "No space left on device"), ("odd", "KeyError")],
)
def test_why_it_failed_is_said_in_words(admin, dataset, name, says) -> None:
    freeze = work(admin, name)
    assert freeze.state == Freeze.State.FAILED
    page = admin.get(reverse("modelops:freezing", args=[freeze.pk])).content.decode()
    assert "Nothing was frozen" in page
    assert says in page
    assert "a patient" not in page
    assert ask(admin, "again").status_code == 302


def test_whom_a_worker_left_is_rung_for_and_taken_up(admin, dataset, monkeypatch) -> None:
    ask(admin)
    freeze = Freeze.objects.get()
    rung: list[int] = []
    monkeypatch.setattr(freezes, "ring", lambda task, pk: rung.append(pk))
    held = freezes._claim(freeze.pk)
    assert sweep_all()["modelops.freezes"] == 0
    assert freezes._claim(freeze.pk) is None
    Freeze.objects.update(moved_at=now() - timedelta(minutes=11))
    assert sweep_all()["modelops.freezes"] == 1
    assert rung == [freeze.pk]
    freeze_dataset(freeze.pk)
    assert Freeze.objects.get().state == Freeze.State.DONE
    monkeypatch.setattr(freezes, "TELL_EVERY_S", 0)
    with pytest.raises(Overtaken):  # the one that was thought dead stops, and writes nothing
        freezes._teller(held)(1, 3)
    freezes._end(held, Freeze.State.FAILED, fault="late")
    assert Freeze.objects.get().state == Freeze.State.DONE


def test_a_worker_that_died_after_the_last_step_did_not_work_for_nothing(admin, dataset, monkeypatch) -> None:
    ask(admin)
    with monkeypatch.context() as patch:
        patch.setattr(freezes, "_end", lambda *_, **__: None)
        run_freeze(Freeze.objects.get().pk)
    Freeze.objects.update(moved_at=now() - timedelta(minutes=11))
    run_freeze(Freeze.objects.get().pk)
    freeze = Freeze.objects.get()
    assert (freeze.state, freeze.dataset.name) == (Freeze.State.DONE, "spring")


def test_what_kills_its_worker_is_given_up(admin, dataset) -> None:
    ask(admin)
    Freeze.objects.update(tries=3)
    run_freeze(Freeze.objects.get().pk)
    assert "died 3 times" in Freeze.objects.get().fault


def test_a_domain_without_an_exporter_has_no_such_page(admin, dataset, monkeypatch) -> None:
    from dataclasses import replace

    from apps.modelops import registry

    plain = replace(registry.domain_named("testing"), exporter="")
    monkeypatch.setattr(registry, "_domains", {"testing": plain})
    assert admin.get(URL).status_code == 404
    assert URL not in admin.get("/models/").content.decode()


def test_two_datasets_side_by_side(admin, dataset, stranger) -> None:
    work(admin, "spring")
    made = DatasetSnapshot.objects.get(name="spring")
    address = reverse("modelops:dataset_diff", args=[made.pk])
    answer = admin.get(address)
    found = answer.context["difference"]
    assert (found.added, found.gone, found.kept) == (1, 1, 2)
    assert found.parts == [("train", 2, 2), ("test", 1, 0), ("gate", 0, 1)]
    assert found.labels == [("Mass", 0.5, 0.5, 1)]
    assert found.changed == [("two", "Mass", "absent", "present")]
    assert found.moved == [("test", "gate", 1)]
    page = answer.content.decode()
    assert "spring against small" in page
    assert "test to gate" in page
    assert admin.get(address, {"from": dataset.pk}).status_code == 200
    assert admin.get(address, {"from": "999"}).status_code == 404
    assert stranger.get(address).status_code == 404


def test_a_dataset_that_changed_is_not_compared(admin, dataset, site) -> None:
    from apps.modelops.common.places import dataset_folder

    work(admin, "spring")
    (dataset_folder(site, "testing", "small") / "manifest.json").write_text("[]")
    answer = admin.get(reverse("modelops:dataset_diff", args=[DatasetSnapshot.objects.get(name="spring").pk]))
    assert answer.status_code == 409
    assert "is not what was frozen" in answer.content.decode()
