"""A site's limits, as people write them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django import forms

from apps.modelops.common.watched import Measure
from apps.modelops.registry import Domain


class LimitsForm(forms.Form):
    """A field a measure; what is left empty raises no alarm, what was not sent stays as it is."""

    def __init__(self, data: Any, *, domain: Domain, limits: Mapping[str, float | None]) -> None:
        super().__init__(data, prefix="limit")
        self.measures = domain.measures
        for measure in domain.measures:
            self.fields[measure.name] = _field(measure, limits[measure.name])

    def limits(self) -> dict[str, float | None]:
        """Those that were sent, as measures have them."""
        given = {one.name: one.factor for one in self.measures if self.add_prefix(one.name) in self.data}
        cleaned = self.cleaned_data
        return {
            name: None if cleaned[name] is None else round(cleaned[name] / by, 9)
            for name, by in given.items()
        }


class ReceiverForm(forms.Form):
    url = forms.URLField(
        label="Address", max_length=500, assume_scheme="https",
        help_text="An https address that the open internet reaches. It gets a new secret each time.",
    )  # fmt: skip


def _field(measure: Measure, limit: float | None) -> forms.FloatField:
    by, sign = measure.factor, f" ({measure.sign})" if measure.sign else ""
    usual = "none" if measure.limit is None else f"{by * measure.limit:g}"
    than = "worse than its own test by more than this" if measure.against_training else measure.worse
    return forms.FloatField(
        required=False, label=f"{measure.title}{sign}", min_value=by * measure.least,
        max_value=by * measure.most, initial=None if limit is None else round(by * limit, 6),
        help_text=f"An alarm {than}. Usual: {usual}.", widget=forms.NumberInput(attrs={"step": "any"}),
    )  # fmt: skip
