"""Asking for training: the form is made from the domain's options, and refuses at the field."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse

from apps.audit.models import AuditEvent
from apps.modelops.models import DatasetSnapshot, TrainingJob
from apps.modelops.registry import domain_named

URL = "/models/testing/train/"


@pytest.fixture
def asked(dataset) -> dict[str, object]:
    return {"dataset": dataset.pk, "preset": "slow", "seed": 7, "device": "auto"}


def test_it_works(admin, asked) -> None:
    answer = admin.post(URL, asked | {"param_rate": "0.5"})
    job = TrainingJob.objects.get()
    assert answer.headers["Location"] == reverse("modelops:job", args=[job.pk])
    assert (job.preset, job.params, job.seed) == ("slow", {"epochs": 9, "rate": 0.5}, 7)
    assert job.requested_by.full_name == "Ada North"
    event = AuditEvent.objects.get(action="training.requested")
    assert (event.subject, event.actor) == (f"job:{job.pk}", f"user:{job.requested_by.pk}")


def test_the_form_tells_limits_meaning_and_what_presets_have(admin, dataset) -> None:
    page = admin.get(URL, {"dataset": dataset.pk}).content.decode()
    assert "Passes over nothing, 1 to 9. Preset tiny: 2, slow: 9." in page
    assert "Of learning, 0.00001 to 1. Every preset: 0.1." in page
    assert 'max="9"' in page
    assert f'<option value="{dataset.pk}" selected>small (2 examples)</option>' in page


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("param_epochs", "10", "less than or equal to 9"),
        ("param_epochs", "1.5", "whole number"),
        ("param_rate", "nan", "Enter a number"),
        ("param_how", "badly", "not one of the available choices"),
        ("preset", "huge", "not one of the available choices"),
        ("seed", "-1", "greater than or equal to 0"),
        ("seed", str(2**31), "less than or equal to"),
        ("dataset", "999999999999999999999", "not one of the available choices"),
    ],
)
def test_a_bad_value_is_named_at_its_field(admin, asked, field, value, says) -> None:
    answer = admin.post(URL, asked | {field: value})
    assert answer.status_code == 422
    assert says in answer.context["form"].errors[field][0]
    assert says in answer.content.decode()
    assert not TrainingJob.objects.exists()


def test_what_only_the_domain_can_refuse_stands_above_the_form(admin, asked) -> None:
    answer = admin.post(URL, asked | {"param_how": "fails"})
    assert answer.status_code == 422
    assert "Nobody fails nine times." in answer.content.decode()
    assert not TrainingJob.objects.exists()


def test_training_again_starts_from_the_earlier_jobs_answers(admin, asked) -> None:
    admin.post(URL, asked | {"param_rate": "0.25"})
    form = admin.get(URL, {"job": TrainingJob.objects.get().pk}).context["form"]
    assert form.initial == {**asked, "param_rate": 0.25}
    for nonsense in ("x", "9" * 5000, "0", "²"):
        assert admin.get(URL, {"job": nonsense}).status_code == 200


def test_another_sites_dataset_and_job_are_not_offered(stranger, dataset, make_job) -> None:
    job = make_job()
    assert "No data to learn from" in stranger.get(URL).content.decode()
    assert "dataset" not in stranger.get(URL, {"job": job.pk}).context["form"].initial or (
        stranger.get(URL, {"job": job.pk}).context["form"].initial["dataset"] != dataset.pk
    )
    answer = stranger.post(URL, {"dataset": dataset.pk, "preset": "tiny", "seed": 0})
    assert answer.status_code == 422
    assert TrainingJob.objects.count() == 1


def test_another_domains_dataset_is_not_offered(admin, asked, dataset) -> None:
    DatasetSnapshot.objects.update(domain="other")
    assert admin.post(URL, asked).status_code == 422


def test_it_takes_a_token(asked, make_user) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(make_user("ml_admin"))
    assert client.post(URL, asked).status_code == 403
    assert not TrainingJob.objects.exists()


def test_each_real_domain_has_its_form(admin, site) -> None:
    for name in ("fraud", "radiology"):
        DatasetSnapshot.objects.create(site=site, domain=name, name="first", manifest_sha256="")
        fields = admin.get(f"/models/{name}/train/").context["form"].fields
        options = domain_named(name).config.__dataclass_fields__
        assert {f"param_{option}" for option in options} <= set(fields)
