"""The days of history that a backtest asks rules of."""

from __future__ import annotations

from django import forms

PERIODS = (("7", "7 days"), ("30", "30 days"), ("90", "90 days"), ("365", "year"), ("3650", "ten years"))


class PeriodForm(forms.Form):
    days = forms.TypedChoiceField(choices=PERIODS, coerce=int, initial="90", label="Backtest on the last")
