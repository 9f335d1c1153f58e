"""The forms of a version's model on its page, and the choice of the one that serves."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse

from apps.audit.models import AuditEvent
from apps.modelops.models import ModelVersion
from apps.modelops.versions.services import variants as service
from apps.modelops.versions.variants import variants_of
from tests.modelops.conftest import METRICS

ROW = {"mb": 12.3, "ms_1": 4.0, "ms_16": 50.0, "cpu_s_per_1000": 6.1, "auc": 0.9, "auc_loss": 0.0,
       "intervals": {"auc": [0.85, 0.95], "auc_loss": [-0.001, 0.002]}}  # fmt: skip
LIGHT = {**ROW, "mb": 3.2, "ms_1": 2.0, "ms_16": 20.0, "auc": 0.899, "auc_loss": 0.001, "accepted": True}


def profile(chosen: str = "int8", **changes: object) -> dict[str, object]:
    forms = {"torch": ROW, "onnx": {**ROW, "accepted": True}, "int8": {**LIGHT, **changes}}
    return METRICS | {"inference": {"variants": forms, "chosen": chosen}}


def choose(client: Client, version: ModelVersion, name: str):
    return client.post(reverse("modelops:choose_variant", args=[version.pk]), {"variant": name})


def serves(version: ModelVersion) -> str:
    return ModelVersion.objects.get(pk=version.pk).variant


def test_it_works(admin, make_version) -> None:
    version = make_version(profile())
    assert serves(version) == "int8"
    page = admin.get(reverse("modelops:version", args=[version.pk])).content.decode()
    for text in ("8-bit integers", "3.2", "20.0", "(-0.001 to 0.002)", "may serve", "the reference"):
        assert text in page, text
    assert "Cpu s per" not in page  # not a second time as a table of measures
    assert choose(admin, version, "onnx").status_code == 302
    assert serves(version) == "onnx"
    event = AuditEvent.objects.get(action="version.variant_chosen")
    assert (event.subject, event.detail) == (f"version:{version.pk}", {"from": "int8", "to": "onnx"})
    choose(admin, version, "int8")
    choose(admin, version, "int8")
    assert serves(version) == "int8"
    assert AuditEvent.objects.filter(action="version.variant_chosen").count() == 2


def test_a_version_without_other_forms_has_no_such_table(admin, make_version) -> None:
    version = make_version()
    assert (
        "Forms of the network"
        not in admin.get(reverse("modelops:version", args=[version.pk])).content.decode()
    )
    assert serves(version) == ""


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"auc_loss": 0.004}, "loses more than 0.3 points of AUC"),
        ({"auc_loss": None}, "loses more than 0.3 points of AUC"),
        ({}, "not faster on this machine"),
    ],
)
def test_what_was_not_accepted_says_why_and_is_not_chosen(admin, make_version, changes, says) -> None:
    version = make_version(profile("onnx", accepted=False, **changes))
    assert says in admin.get(reverse("modelops:version", args=[version.pk])).content.decode()
    for name in ("int8", "torch", "", "int4"):
        assert choose(admin, version, name).status_code == 409
    assert serves(version) == "onnx"
    assert not AuditEvent.objects.filter(action="version.variant_chosen").exists()


def test_without_the_look_at_what_was_accepted_it_would_be(admin, make_version, monkeypatch) -> None:
    version = make_version(profile("onnx", accepted=False))
    let_all = [one.__class__(**{**_fields(one), "accepted": True}) for one in variants_of(version)]
    monkeypatch.setattr(service, "variants_of", lambda found: let_all)
    choose(admin, version, "int8")
    assert serves(version) == "int8"


def _fields(one: object) -> dict[str, object]:
    return {name: getattr(one, name) for name in one.__slots__}


def test_choosing_takes_a_post_with_its_token_and_ones_own_version(make_version, make_user, stranger) -> None:
    version = make_version(profile())
    client = Client(enforce_csrf_checks=True)
    client.force_login(make_user("ml_admin"))
    assert choose(client, version, "onnx").status_code == 403
    assert client.get(reverse("modelops:choose_variant", args=[version.pk])).status_code == 405
    assert choose(stranger, version, "onnx").status_code == 404
    assert serves(version) == "int8"
