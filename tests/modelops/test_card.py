"""A version's model card: on its page, to download, and by command."""

from __future__ import annotations

import numpy as np
import pytest
from django.core.management import CommandError, call_command
from django.urls import reverse

from ml.common.curves import curves
from tests.modelops.conftest import METRICS
from tests.promoting import put_in_service

LABELS = np.array([0, 1] * 50)
SCORES = np.linspace(0.05, 0.95, 100)
MADE = {
    "curves": {"Effusion": curves(LABELS, SCORES)},
    "lineage": {
        "commit": "c0ffee" * 6, "changed": True, "parent": {"number": 4, "artefact_hash": "a" * 64},
        "python": "3.11.9", "libraries": {"numpy": "2.4.6"},
    },
    "operating_points": {"Effusion": 0.31, "Mass": None}, "not_taught": ["Nodule"],
    "validated_on": {"age_years": [18.0, 90.0]}, "pretrained": {"file": "net.safetensors"},
}  # fmt: skip
FACTS = (
    "c0ffeec0ffee, with changes", "version 4, in service then", "numpy", "2.4.6", "0.31", "Nodule",
    "net.safetensors", "aged 18 to 90", "1,234 cases", "none",
)  # fmt: skip


def card_of(client, version) -> str:
    answer = client.get(reverse("modelops:card_markdown", args=[version.pk]))
    assert answer["Content-Type"] == "text/markdown; charset=utf-8"
    assert f"testing-v{version.number}-card.md" in answer["Content-Disposition"]
    return answer.content.decode()


def test_page_and_markdown_say_the_same(admin, make_version) -> None:
    version = make_version(**MADE)
    page = admin.get(reverse("modelops:version", args=[version.pk])).content.decode()
    card = card_of(admin, version)
    for text in (*FACTS, version.artefact_hash, version.dataset.name, f"job {version.job_id}", "0.650"):
        assert text in page, text
        assert text in card.replace("\\", ""), text
    assert card.startswith("# Testing, version 1\n")
    assert "## Limits" in card
    assert "### Calibration, Effusion" in card
    assert "before training kept this" not in page


def test_what_an_earlier_release_did_not_keep_is_named(admin, make_version) -> None:
    version = make_version()
    page = admin.get(reverse("modelops:version", args=[version.pk])).content.decode()
    assert page.count("before training kept this") == 3  # curves, lineage, libraries
    assert card_of(admin, version).count("before training kept this") == 3
    answer = admin.get(reverse("modelops:version_curves", args=[version.pk, "roc"]))
    assert answer.status_code == 404


def test_a_control_experiment_says_what_it_is(admin, make_version) -> None:
    said = "the labels it was taught were shuffled"
    assert said in card_of(admin, make_version(**MADE, config={"control": "shuffled_labels"}))
    assert said not in card_of(admin, make_version(**MADE, config={"control": "none"}))


@pytest.mark.parametrize("chart", ["roc", "precision-recall", "reliability"])
def test_curves_are_drawn_from_the_artefact(admin, make_version, chart) -> None:
    version = make_version(**MADE)
    drawn = admin.get(reverse("modelops:version_curves", args=[version.pk, chart])).json()
    assert drawn["series"][0]["name"] == "Effusion"
    assert len(drawn["series"][0]["points"]) >= 10
    assert drawn["done"] is True
    assert admin.get(reverse("modelops:version_curves", args=[version.pk, "else"])).status_code == 404


def test_a_card_of_a_damaged_artefact_says_so(admin, make_version) -> None:
    from apps.modelops.common.selectors import artefact_dir

    version = make_version(**MADE)
    (artefact_dir(version) / "manifest.json").write_text("{}")
    assert "not what was registered" in card_of(admin, version)


def test_names_in_the_data_mean_nothing_in_markdown(admin, make_version) -> None:
    """A table's cell stays a cell, and a finding's name is no link and no tag."""
    name = "a|b <script> [x](y)\n# z"
    version = make_version({"test": {"auc": 0.5, "findings": {name: {"auc": 0.5}}}})
    [line] = [line for line in card_of(admin, version).splitlines() if "script" in line]
    assert line == "| a\\|b \\<script\\> \\[x\\](y) \\# z | 0.500 |"


def test_the_champion_is_one_click_away(admin, make_version, site) -> None:
    first, second = make_version(), make_version()
    put_in_service(first)
    page = admin.get(reverse("modelops:version", args=[second.pk])).content.decode()
    assert f"{reverse('modelops:compare')}?versions={first.pk},{second.pk}" in page


def test_another_sites_card_is_not_found(stranger, make_version) -> None:
    version = make_version(**MADE)
    for name, more in (("card_markdown", []), ("version_curves", ["roc"]), ("case_picture", [0])):
        assert stranger.get(reverse(f"modelops:{name}", args=[version.pk, *more])).status_code == 404


def test_by_command(make_version, tmp_path, capsys) -> None:
    make_version(METRICS, **MADE)
    out = tmp_path / "card.md"
    call_command("model_card", "testing", "1", "--out", str(out))
    call_command("model_card", "testing", "1")
    assert out.read_text() == capsys.readouterr().out
    with pytest.raises(CommandError, match=r"no version 9 .*unknown_version"):
        call_command("model_card", "testing", "9")
    with pytest.raises(CommandError, match="cannot be written"):
        call_command("model_card", "testing", "1", "--out", str(tmp_path / "no" / "where"))
