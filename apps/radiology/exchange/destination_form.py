"""The operator's form of a PACS that signed reports are sent to."""

from __future__ import annotations

from typing import Any

from django import forms

from apps.core.encryption import encrypt
from apps.radiology.models import Destination


class DestinationForm(forms.ModelForm):  # type: ignore[type-arg]
    stow_url = forms.URLField(
        label="STOW-RS address", required=False, assume_scheme="https",
        help_text="Of its studies, for example https://pacs.example/dicom-web/studies",
    )  # fmt: skip
    token = forms.CharField(
        label="Bearer token", required=False, max_length=4000, strip=True,
        widget=forms.PasswordInput(attrs={"autocomplete": "off"}),
        help_text="For STOW-RS. Kept sealed and not shown again. Blank: the one there is stays.",
    )  # fmt: skip

    class Meta:
        model = Destination
        fields = (
            "site", "name", "AETitle", "host", "port", "stow_url", "token", "sends_results", "is_active",
        )  # fmt: skip

    def clean_token(self) -> str:
        token = str(self.cleaned_data["token"])
        if not token.isascii() or not token.isprintable():
            raise forms.ValidationError("A bearer token is printable ASCII.")
        return token

    def save(self, commit: bool = True) -> Any:
        if token := self.cleaned_data.get("token"):
            self.instance.bearer = encrypt(token, bound_to=self.instance.seal)
        return super().save(commit)
