from __future__ import annotations

from typing import Any

from django import forms

from apps.radiology.common.selectors import labels_in_service
from apps.radiology.models import Status
from apps.radiology.worklist.worklist import WorklistFilter
from ml.radiology.vocabulary import says

# Of the films that come here, in DICOM's words.
MODALITIES = {
    "CR": "CR, computed radiography",
    "DX": "DX, digital radiography",
    "RG": "RG, film, digitised",
    "RF": "RF, fluoroscopy",
    "MG": "MG, mammography",
    "OT": "OT, other",
}


class WorklistForm(forms.Form):
    """The worklist's filters. A value that is not offered counts as no filter."""

    reading = forms.ChoiceField(
        required=False,
        label="Reads",
        choices=[
            ("", "To read"),
            ("begun", "Begun, not signed"),
            ("mine", "Mine"),
            ("signed", "Signed"),
            ("all", "All"),
        ],
        widget=forms.Select(attrs={"data-key": "f", "data-key-label": "Filters"}),
    )
    status = forms.ChoiceField(
        required=False, choices=[("", "Any"), *((status, status.label.capitalize()) for status in Status)]
    )
    finding = forms.ChoiceField(required=False, label="Raised by")
    modality = forms.ChoiceField(required=False, choices=[("", "Any"), *MODALITIES.items()])
    received = forms.ChoiceField(
        required=False,
        choices=[
            ("", "Any day"),
            ("today", "Today"),
            ("yesterday", "Yesterday"),
            ("week", "Last 7 days"),
            ("month", "Last 30 days"),
        ],
    )
    day = forms.DateField(required=False, widget=forms.DateInput(attrs={"type": "date"}))
    q = forms.CharField(
        required=False,
        max_length=64,
        label="Search",
        widget=forms.TextInput(
            attrs={"type": "search", "data-search": True, "placeholder": "patient or accession number"}
        ),
    )

    def __init__(self, data: Any, *, concurrent: bool) -> None:
        super().__init__(data)
        if not concurrent:
            del self.fields["finding"]  # would tell what the model found
            return
        self.fields["finding"].choices = [  # type: ignore[attr-defined]
            ("", "Any"),
            *((label, says(label)) for label in labels_in_service()),
        ]

    def chosen(self) -> WorklistFilter:
        self.is_valid()
        # As texts: a day is written as the address has it.
        return WorklistFilter(**{name: str(value) for name, value in self.cleaned_data.items() if value})
