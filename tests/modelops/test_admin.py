"""From the admin's list of datasets to the one form that asks for training; nothing is changed there."""

from __future__ import annotations

import re

from django.test import Client
from django.urls import reverse

from apps.accounts.models import Role
from apps.modelops import admin as modelops_admin
from apps.modelops.models import TrainingJob

LISTS = [f"/admin/modelops/{name}/" for name in ("datasetsnapshot", "trainingjob", "modelversion")]


def test_a_dataset_leads_to_the_form_with_itself_chosen(admin, dataset) -> None:
    page = admin.get(LISTS[0]).content.decode()
    [address] = re.findall(r'href="([^"]+)">Train on it', page)
    form = admin.get(address).context["form"]
    assert form.initial["dataset"] == str(dataset.pk)
    asked = {"dataset": dataset.pk, "preset": "tiny", "seed": 0, "device": "auto"}
    assert admin.post(address, asked).status_code == 302
    assert TrainingJob.objects.get().dataset == dataset


def test_jobs_and_versions_lead_to_their_pages(admin, make_version) -> None:
    version = make_version()
    for address, target in (
        (LISTS[0], reverse("modelops:dataset", args=[version.dataset_id])),
        (LISTS[1], reverse("modelops:job", args=[version.job_id])),
        (LISTS[2], reverse("modelops:version", args=[version.pk])),
    ):
        assert f'href="{target}"' in admin.get(address).content.decode()


def test_nothing_is_changed_there(admin, make_version) -> None:
    version = make_version()
    for address, thing in zip(LISTS, (version.dataset, version.job, version), strict=True):
        assert admin.post(f"{address}{thing.pk}/change/", {"name": "x"}).status_code == 403
        assert admin.get(f"{address}add/").status_code == 403
        assert 'name="_save"' not in admin.get(f"{address}{thing.pk}/change/").content.decode()


def test_another_site_sees_none_of_it_and_other_roles_no_list(stranger, make_version, make_user) -> None:
    make_version()
    for address in LISTS:
        assert stranger.get(address).context["cl"].result_count == 0
    for role, status in (("operator", 403), ("radiologist", 302), ("auditor", 302), ("fraud_analyst", 302)):
        client = Client()
        client.force_login(make_user(role))
        assert {client.get(address).status_code for address in LISTS} == {status}
    assert stranger.get("/admin/accounts/user/").status_code == 403


def test_without_the_site_another_sites_would_be_listed(stranger, make_version, monkeypatch) -> None:
    """Sabotage: the list forgets whose it is."""
    make_version()
    monkeypatch.setattr(
        modelops_admin.ModelVersionAdmin, "get_queryset", lambda self, request: self.model.objects.all()
    )
    assert stranger.get(LISTS[2]).context["cl"].result_count == 1


def test_kept_by_operators_alone_it_would_be_shut(admin, dataset, monkeypatch) -> None:
    """Sabotage: as the lists of accounts are."""
    monkeypatch.setattr(modelops_admin._ReadOnly, "kept_by", Role.OPERATOR)
    assert admin.get(LISTS[0]).status_code == 403
