"""`train` and `evaluate` at the terminal: they wait, write what they promise, and fail with a sentence."""

from __future__ import annotations

import json

import pytest
from django.core.management import CommandError, call_command

from apps.modelops import registry
from apps.modelops.common.places import dataset_folder
from apps.modelops.common.selectors import champion
from apps.modelops.management.commands.evaluate import FIELDS
from apps.modelops.management.commands.train import progress_line
from apps.modelops.models import TrainingJob
from apps.modelops.promotion.services.promotion import install_first_champion


def test_it_works(make_version, site, tmp_path, capsys) -> None:
    version = make_version()
    install_first_champion(version, by=None, site=site)
    for name in ("1", "champion"):
        out = tmp_path / f"{name}.json"
        call_command("evaluate", "testing", "--version", name, "--file", "x.csv", "--json", str(out))
        document = json.loads(out.read_text())
        assert set(FIELDS) | {"intervals", "version"} <= set(document)
        assert (document["auc"], document["n"], document["brier"]) == (0.75, 3, None)
        assert document["intervals"] == {"auc": [0.5, 0.9]}
        assert (document["extra"], document["version"]) == (1, 1)
    assert '"auc": 0.75' in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("testing", "--version", "champion"), "no version champion of testing"),
        (("testing", "--version", "7"), "no version 7"),
        (("testing", "--version", "-1"), "whole number or 'champion'"),
        (("weather", "--version", "1"), "no version 1 of weather"),
        (("testing", "--version", "1"), "Give --file"),
    ],
)
def test_what_cannot_be_evaluated_says_why(make_version, tmp_path, arguments, says) -> None:
    make_version()
    out = tmp_path / "out.json"
    with pytest.raises(CommandError, match=says):
        call_command("evaluate", *arguments, "--json", str(out))
    assert not out.exists()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("testing", "--dataset", "none"), "no testing dataset 'none'"),
        (("testing", "--dataset", "small", "--preset", "huge"), "none of the presets"),
        (("testing", "--dataset", "small", "--preset", "tiny", "--param", "how"), "NAME=JSON"),
        (("testing", "--dataset", "small", "--preset", "tiny", "--param", "epochs=99"), "between 1 and 9"),
        (("testing", "--dataset", "small", "--preset", "tiny", "--site", "east"), "no site 'east'"),
    ],
)
def test_what_cannot_be_trained_says_why(dataset, arguments, says) -> None:
    with pytest.raises(CommandError, match=says):
        call_command("train", *arguments)
    assert not TrainingJob.objects.exists()


def test_a_line_of_progress() -> None:
    told = {"phase": "train", "epoch": 3, "epochs": 9, "rate": 212.4, "rate_unit": "images", "eta_s": 61.2}
    line = progress_line(told | {"metrics": {"val_auc": 0.81234}, "message": "well"})
    assert line == "train  epoch 3/9  212 images/s  61 s left  val_auc 0.8123  well"


def test_fraud_from_simulation_to_evaluation(child_can_start, site, settings, tmp_path) -> None:
    """The real thing, small: simulate, train in a subprocess, promote, measure the champion on a file."""
    settings.VAR_DIR = tmp_path
    assert "fraud" in registry._domains
    call_command(
        "simulate_transactions", "--name", "first", "--customers", "60", "--terminals", "30", "--days", "40"
    )
    out = tmp_path / "made.json"
    call_command("train", "fraud", "--dataset", "first", "--preset", "tiny", "--promote", "--json", str(out))
    job = TrainingJob.objects.get()
    assert json.loads(out.read_text()) == {"version": 1, "job": job.pk}
    assert champion("fraud").number == 1
    report = tmp_path / "report.json"
    events = dataset_folder(site, "fraud", "first") / "events.parquet"
    call_command("evaluate", "fraud", "--version", "champion", "--file", str(events), "--json", str(report))
    measured = json.loads(report.read_text())
    assert measured["n"] + measured["n_excluded"] == job.dataset.summary["n"]
    assert measured["auc"] > 0.5
    assert measured["threshold"] == champion("fraud").metrics["thresholds"]["review"]
    low, high = measured["intervals"]["auc"]
    assert low <= measured["auc"] <= high
