from __future__ import annotations

from typing import Any

from django import forms

from apps.radiology.models import Status
from apps.radiology.selectors import WorklistFilter, labels_in_service
from ml.radiology.vocabulary import says


class WorklistForm(forms.Form):
    """The worklist's filters. A value that is not offered counts as no filter."""

    status = forms.ChoiceField(
        required=False, choices=[("", "Any"), *((status, status.label.capitalize()) for status in Status)]
    )
    finding = forms.ChoiceField(required=False, label="Raised by")
    q = forms.CharField(
        required=False,
        max_length=64,
        label="Search",
        widget=forms.TextInput(
            attrs={"type": "search", "data-search": True, "placeholder": "patient or accession number"}
        ),
    )

    def __init__(self, data: Any) -> None:
        super().__init__(data)
        self.fields["finding"].choices = [  # type: ignore[attr-defined]
            ("", "Any"),
            *((label, says(label)) for label in labels_in_service()),
        ]

    def chosen(self) -> WorklistFilter:
        self.is_valid()
        return WorklistFilter(**{name: value for name, value in self.cleaned_data.items() if value})
