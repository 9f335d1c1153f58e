from __future__ import annotations

from typing import Any

from django import forms

from apps.radiology.studies.services.identity import PERSON, Patient


class _Number(forms.CharField):
    def __init__(self, label: str, *, required: bool = True) -> None:
        super().__init__(label=label, required=required, max_length=256)


class MergeForm(forms.Form):
    from_id = _Number("The number that goes")
    from_issuer = _Number("Its issuer", required=False)
    into_id = _Number("The number that stays")
    into_issuer = _Number("Its issuer", required=False)
    note = forms.CharField(label="Why", max_length=200)

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        if self.is_valid() and self.source == self.target:
            raise forms.ValidationError("Give two different patients.")
        return data

    @property
    def source(self) -> Patient:
        return self.cleaned_data["from_id"], self.cleaned_data["from_issuer"]

    @property
    def target(self) -> Patient:
        return self.cleaned_data["into_id"], self.cleaned_data["into_issuer"]


class MoveForm(forms.Form):
    """Name, birth date and sex count for a patient of whom the site has no study yet."""

    patient_id = _Number("PatientID")
    issuer = _Number("Its issuer", required=False)
    PatientName = forms.CharField(
        label="Name, if the patient is new here", required=False, max_length=256, help_text="Family^Given"
    )
    PatientBirthDate = forms.RegexField(
        r"^\d{8}$", label="Birth date, if new here", required=False, help_text="YYYYMMDD"
    )
    PatientSex = forms.ChoiceField(
        label="Sex, if new here",
        required=False,
        choices=[("", "not known"), ("F", "F"), ("M", "M"), ("O", "O")],
    )

    @property
    def patient(self) -> Patient:
        return self.cleaned_data["patient_id"], self.cleaned_data["issuer"]

    @property
    def person(self) -> dict[str, str]:
        return {name: self.cleaned_data[name] for name in PERSON}
