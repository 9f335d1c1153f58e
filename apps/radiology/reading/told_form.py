"""Who was told of a critical finding."""

from __future__ import annotations

from django import forms

from apps.core.clock import now
from apps.radiology.models import Channel
from apps.radiology.reading.services.communications import Told


class ToldForm(forms.Form):
    """`at` is in the site's time zone; left out it is now."""

    to = forms.CharField(max_length=150)
    channel = forms.ChoiceField(choices=Channel.choices)
    at = forms.DateTimeField(required=False)
    read_back = forms.BooleanField(required=False)

    def told(self) -> Told:
        said = self.cleaned_data
        return Told(said["to"], said["channel"], said["at"] or now(), said["read_back"])
