from __future__ import annotations

from typing import Any

from django import forms

from apps.accounts.models import Site
from apps.fraud.common.selectors import QueueFilter, sources_of
from apps.fraud.models import Mode, Outcome


class QueueForm(forms.Form):
    """The filters of the recent decisions. A value that is not offered counts as no filter."""

    outcome = forms.ChoiceField(required=False, choices=[("", "Any"), *Outcome.choices])
    mode = forms.ChoiceField(
        required=False, label="Decided by", choices=[("", "Any"), *((m, m.label.capitalize()) for m in Mode)]
    )
    source = forms.ChoiceField(required=False)

    def __init__(self, data: Any, *, site: Site) -> None:
        super().__init__(data)
        offered = [(row.slug, row.name) for row in sources_of(site)]
        self.fields["source"].choices = [("", "Any"), *offered]  # type: ignore[attr-defined]

    def chosen(self) -> QueueFilter:
        self.is_valid()
        given = {name: value for name, value in self.cleaned_data.items() if value}
        return QueueFilter(**given)
