"""What chance decides: thrown once for a study, kept whatever it came to, and on the audit's record."""

from __future__ import annotations

from random import SystemRandom

from apps.accounts.models import Site
from apps.audit.services import record
from apps.core.clock import now
from apps.radiology.models import Draw, Purpose, ReadingPolicy, Study

_chance = SystemRandom()
RATES = {Purpose.SECOND_READ: "second_read_rate", Purpose.SAMPLE: "sample_rate"}


def throw(study: Study, purpose: Purpose) -> bool:
    """Whether the study is chosen. What was thrown for it once holds, also after the rate changed."""
    kept = Draw.objects.filter(study=study, purpose=purpose).first()
    if kept is not None:
        return kept.chosen
    rate = _rate(study.site, purpose)
    if not rate:
        return False
    drawn = Draw.objects.create(
        study=study, purpose=purpose, value=_chance.random(), probability=rate, at=now()
    )
    detail = {"purpose": purpose.value, "value": drawn.value, "probability": rate}
    record("draw.thrown", site=study.site, actor=None, subject=f"study:{study.pk}", detail=detail)
    return drawn.chosen


def _rate(site: Site, purpose: Purpose) -> float:
    """0 at a site that set none."""
    found = ReadingPolicy.objects.filter(site=site).values_list(RATES[purpose], flat=True).first()
    return found or 0.0
