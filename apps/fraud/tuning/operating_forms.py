"""What an operating point is chosen from, in major units and percent as people say it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django import forms

from apps.fraud.common.iso import minor_digits
from apps.fraud.common.money import REPORTING_CURRENCY
from apps.fraud.models import Method
from apps.fraud.rules.operating import Asked, Held
from ml.fraud.contracts import Thresholds
from ml.fraud.operating import Costs

DIGITS = minor_digits(REPORTING_CURRENCY)
MONEY_MAX = 100_000


def _share(label: str, least: int, help_text: str) -> forms.DecimalField:
    return forms.DecimalField(
        label=label, min_value=least, max_value=100, max_digits=6, decimal_places=3, help_text=help_text
    )


def _money(label: str, help_text: str) -> forms.DecimalField:
    return forms.DecimalField(
        label=f"{label} ({REPORTING_CURRENCY})", min_value=0, max_value=MONEY_MAX, max_digits=12,
        decimal_places=DIGITS, help_text=help_text,
    )  # fmt: skip


def _limit(label: str, help_text: str) -> forms.FloatField:
    return forms.FloatField(
        required=False, label=label, min_value=0, max_value=1, help_text=help_text,
        widget=forms.NumberInput(attrs={"step": "any", "min": 0, "max": 1}),
    )  # fmt: skip


class OperatingForm(forms.Form):
    method = forms.ChoiceField(
        label="Choose thresholds",
        choices=Method.choices,
        help_text="The test is never used for choosing.",
    )
    alerts_per_day = forms.FloatField(
        required=False, min_value=0, max_value=1_000_000, label="Alerts a day, at most",
        widget=forms.NumberInput(attrs={"step": "any"}),
        help_text="In the mean, reviews and declines together. Empty, by cost only: no limit.",
    )  # fmt: skip
    review = _limit("Review from score", "By hand: at least this score wants a person.")
    decline = _limit("Decline from score", "By hand: at least this score is declined.")
    decline_precision = _share("Precision of declines (%)", 50, "By budget: declines as far as it holds.")
    review_cost = _money("Cost of looking at an alert", "An analyst's time.")
    review_saves = _share("A review saves (%)", 0, "Share of a fraud's amount, where it is reviewed.")
    decline_saves = _share("A decline saves (%)", 0, "Share of a fraud's amount, where it is declined.")
    good_decline_cost = _money("Cost of declining a good payment", "Lost sale, complaint, customer.")

    def clean(self) -> dict[str, Any]:
        given: dict[str, Any] = super().clean() or self.cleaned_data
        if given.get("method") == Method.BUDGET and given.get("alerts_per_day") is None:
            self.add_error("alerts_per_day", "Say how many alerts a day can be looked at.")
        if given.get("method") == Method.BY_HAND:
            self._check_limits(given.get("review"), given.get("decline"))
        return given

    def _check_limits(self, review: float | None, decline: float | None) -> None:
        if review is None and "review" not in self.errors:
            self.add_error("review", "Say from which score on.")
        if decline is None and "decline" not in self.errors:
            self.add_error("decline", "Say from which score on.")
        if review is not None and decline is not None and review > decline:
            self.add_error("decline", "A decline begins no lower than a review.")

    def asked(self) -> Asked:
        given = self.cleaned_data
        return Asked(
            Method(given["method"]),
            given["alerts_per_day"],
            float(given["decline_precision"] / 100),
            Costs(
                review_minor=_minor(given["review_cost"]),
                review_saves=float(given["review_saves"] / 100),
                decline_saves=float(given["decline_saves"] / 100),
                good_decline_minor=_minor(given["good_decline_cost"]),
            ),
            review=1.0 if given["review"] is None else given["review"],
            decline=1.0 if given["decline"] is None else given["decline"],
        )


class NoteForm(forms.Form):
    note = forms.CharField(max_length=300, label="Why", help_text="Kept with the thresholds and your name.")


class ReviewForm(forms.Form):
    """Whether what a colleague asked for is to hold."""

    verdict = forms.ChoiceField(choices=[("accept", "Accept"), ("refuse", "Refuse")])
    note = forms.CharField(required=False, max_length=300, label="Why")

    def clean(self) -> dict[str, Any]:
        given: dict[str, Any] = super().clean() or self.cleaned_data
        if given.get("verdict") == "refuse" and not given.get("note"):
            self.add_error("note", "Say why.")
        return given


def initial_of(held: Held, asked: dict[str, Any] | None, limits: Thresholds) -> dict[str, Any]:
    """As it was asked for last, else as the version was trained; by hand from what is in service."""
    costs = asked["costs"] if asked else Costs()
    of = costs.__getitem__ if isinstance(costs, dict) else lambda name: getattr(costs, name)
    return {
        "method": asked["method"] if asked else Method.TRAINED,
        "alerts_per_day": asked["alerts_per_day"] if asked else round(held.alerts_per_day, 1),
        "review": limits.review,
        "decline": limits.decline,
        "decline_precision": _percent(asked["decline_precision"] if asked else held.decline_precision),
        "review_cost": _major(of("review_minor")),
        "review_saves": _percent(of("review_saves")),
        "decline_saves": _percent(of("decline_saves")),
        "good_decline_cost": _major(of("good_decline_minor")),
    }


def _minor(major: Decimal) -> int:
    return int(major.scaleb(DIGITS))


def _major(minor: int) -> Decimal:
    return Decimal(minor).scaleb(-DIGITS)


def _percent(share: float) -> str:
    return f"{share * 100:.3f}".rstrip("0").rstrip(".")
