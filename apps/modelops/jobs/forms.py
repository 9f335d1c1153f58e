from __future__ import annotations

from collections.abc import Mapping
from dataclasses import Field, fields
from typing import Any

from django import forms

from apps.accounts.models import Site
from apps.modelops.common.selectors import datasets_of
from apps.modelops.datasets.summaries import name_of
from apps.modelops.jobs.services.folds import FOLDS_MAX, FOLDS_MIN
from apps.modelops.models import DatasetSnapshot, TrainingJob
from apps.modelops.registry import Domain

SEED_MAX = 2**31 - 1
PREFIX = "param_"


class NewJobForm(forms.Form):
    """What to train on and how. A parameter left empty is as the preset has it."""

    dataset = forms.ModelChoiceField(queryset=DatasetSnapshot.objects.none(), empty_label=None)
    preset = forms.ChoiceField(help_text="tiny learns in seconds, demo in minutes, full takes what it takes.")
    seed = forms.IntegerField(
        min_value=0, max_value=SEED_MAX, initial=0, help_text="The same seed and data make the same model."
    )
    device = forms.ChoiceField(
        choices=TrainingJob.Device.choices,
        initial=TrainingJob.Device.AUTO,
        required=False,
        help_text="One job at a time has a graphics card.",
    )

    folds = forms.IntegerField(
        min_value=FOLDS_MIN,
        max_value=FOLDS_MAX,
        required=False,
        label="Cross-validation",
        help_text="Empty: one model, which may be promoted. A number, 2 to 10: these answers are judged by so"
        " many folds of the training part, a job each, and no version is made.",
    )

    def __init__(self, *args: Any, site: Site, domain: Domain, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.domain = domain
        self.fields["dataset"].queryset = datasets_of(site, domain.name)  # type: ignore[attr-defined]
        self.fields["dataset"].label_from_instance = name_of  # type: ignore[attr-defined]
        self.fields["preset"].choices = [(name, name) for name in domain.presets]  # type: ignore[attr-defined]
        if not domain.fold_trainer:
            del self.fields["folds"]
        for option in fields(domain.config) if domain.config else ():
            self.fields[PREFIX + option.name] = _field_for(option, domain)

    def clean_device(self) -> str:
        return self.cleaned_data["device"] or TrainingJob.Device.AUTO

    def parameters(self) -> list[forms.BoundField]:
        return [self[name] for name in self.fields if name.startswith(PREFIX)]

    def params(self) -> dict[str, Any]:
        """The parameters that were given."""
        given = {n.removeprefix(PREFIX): v for n, v in self.cleaned_data.items() if n.startswith(PREFIX)}
        return {name: value for name, value in given.items() if value not in (None, "")}


def initial_from(job: TrainingJob, domain: Domain) -> dict[str, Any]:
    """As that job was asked for: only what differs from its preset is filled in."""
    preset = domain.presets.get(job.preset, {})
    changed = {PREFIX + n: v for n, v in job.params.items() if preset.get(n) != v}
    return {
        "dataset": job.dataset_id,
        "preset": job.preset,
        "seed": job.cross_validation.seed if job.cross_validation else job.seed,
        "device": job.device,
        **changed,
    }


def _field_for(option: Field[Any], domain: Domain) -> forms.Field:
    said: Mapping[str, Any] = option.metadata
    by_preset = {name: preset.get(option.name, option.default) for name, preset in domain.presets.items()}
    label = option.name.replace("_", " ").capitalize()
    if "choices" in said:
        text = f"{_sentence(said['help'])}. {_values(by_preset)}."
        choices = [("", "as the preset has it"), *((name, name) for name in said["choices"])]
        return forms.ChoiceField(required=False, label=label, choices=choices, help_text=text)
    if "pattern" in said:
        text = f"{_sentence(said['help'])}. {_values(by_preset)}."
        return forms.RegexField(said["pattern"], required=False, label=label, max_length=80, help_text=text)
    kind = forms.IntegerField if option.type == "int" else forms.FloatField
    return kind(
        required=False,
        label=label,
        min_value=said["min"],
        max_value=said["max"],
        help_text=f"{_sentence(said['help'])}, {_plain(said['min'])} to {_plain(said['max'])}."
        f" {_values(by_preset)}.",
        widget=forms.NumberInput(attrs={"step": "1" if option.type == "int" else "any"}),
    )


def _values(by_preset: Mapping[str, Any]) -> str:
    """What each preset has: one value if they agree."""
    if len(set(by_preset.values())) == 1:
        return f"Every preset: {_plain(next(iter(by_preset.values())))}"
    return f"Preset {', '.join(f'{name}: {_plain(value)}' for name, value in by_preset.items())}"


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def _plain(value: Any) -> str:
    """0.00001 rather than 1e-05."""
    return f"{value:.8f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)
