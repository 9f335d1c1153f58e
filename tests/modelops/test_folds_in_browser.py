"""A cross-validation looked at in real Chromium, in every look: under way, failed in part, and all of it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from django.test import Client
from django.urls import reverse
from playwright.sync_api import Page, expect

from apps.modelops.jobs.services import jobs
from apps.modelops.jobs.services.folds import request_folds
from tests.e2e.test_accessibility import violations
from tests.radiology.test_in_browser import LOOKS, opened

pytestmark = pytest.mark.django_db(transaction=True)
SHOTS = os.environ.get("LYNCEUS_SHOTS")  # to look at


def measured(fold: int) -> dict[str, object]:
    auc, ap = 0.81 + fold / 100, 0.42 - fold / 50
    told = {
        "sensitivity": 0.9,
        "specificity": 0.61 + fold / 50,
        "accuracy": None,
        "brier": 0.06,
        "ece": 0.0123,
    }
    intervals = {"auc": [auc - 0.05, auc + 0.06], "ap": [ap - 0.1, ap + 0.12]}
    return {"auc": auc, "ap": ap, "n": 1234, "n_train": 4000, "n_choose": 900, **told, "intervals": intervals}


@pytest.fixture
def crossed(dataset):
    found = request_folds(dataset=dataset, folds=5, preset="tiny", seed=3)
    for fold in (1, 2, 3):
        jobs.finish_fold(jobs.claim(), measured(fold))
    jobs.finish_failed(jobs.claim(), "training_error", "The val part holds no fraud or nothing else.")
    holder = jobs.claim()
    jobs.add_progress(holder, {"phase": "train", "epoch": 3, "epochs": 9, "metrics": {"train_loss": 0.5}})
    return found


@pytest.fixture
def cookie(make_user, live_server) -> dict[str, str]:
    client = Client()
    client.force_login(make_user("ml_admin"))
    return {"name": "sessionid", "value": client.cookies["sessionid"].value, "url": live_server.url}


def looked_at(page: Page, name: str, width: int, scheme: str) -> list[str]:
    assert page.evaluate("document.documentElement.scrollWidth") <= width, (name, width)
    assert page.locator("h1").count() == 1
    if SHOTS:
        page.screenshot(path=Path(SHOTS, f"{name}-{width}-{scheme}.png"), full_page=True)
    return violations(page, f"{name} {width} {scheme}")


def test_it_works(crossed, cookie, live_server) -> None:
    found: list[str] = []
    for width, scheme in LOOKS:
        with opened(width, scheme) as page:
            page.context.add_cookies([cookie])
            page.goto(live_server.url + reverse("modelops:index"))
            found += looked_at(page, "models", width, scheme)
            page.get_by_role("link", name="5 folds").click()
            expect(page.locator("h1")).to_contain_text("Cross-validation")
            expect(page.locator("#folds")).to_contain_text("Fold 4 failed")
            found += looked_at(page, "folds", width, scheme)
            page.get_by_role("link", name="Fold 2").click()
            expect(page.get_by_role("heading", name="Measured on its fold")).to_be_visible()
            found += looked_at(page, "fold", width, scheme)
            page.goto(live_server.url + reverse("modelops:new_job", args=["testing"]))
            expect(page.get_by_label("Cross-validation")).to_have_attribute("max", "10")
            found += looked_at(page, "form", width, scheme)
    assert found == []
