from datetime import date

from django import forms
from django.core.validators import MaxValueValidator, MinValueValidator


class AuditFilter(forms.Form):
    action = forms.CharField(required=False, max_length=60)
    actor = forms.RegexField(r"^(user:\d+|client:\d+|system)$", required=False, max_length=40)
    subject = forms.CharField(required=False, max_length=80)
    day = forms.DateField(
        required=False,
        validators=[MinValueValidator(date(1970, 1, 1)), MaxValueValidator(date(2999, 12, 31))],
    )


class Place(forms.Form):
    """Where a page of the log goes on: before a row, or after it."""

    before = forms.IntegerField(required=False, min_value=1, max_value=2**63 - 1)
    after = forms.IntegerField(required=False, min_value=1, max_value=2**63 - 1)
