"""What was ordered, and where that puts a study on the worklist."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import models
from django.db.models import Q


class Priority(models.TextChoices):
    """Of an order, in HL7's words."""

    STAT = "stat", "STAT"
    URGENT = "urgent", "urgent"
    ROUTINE = "routine", "routine"


# The order's fields, each as it is while nobody has said anything.
ORDER = {"priority": Priority.ROUTINE, "location": "", "clinical_question": ""}
# How much later a study may come and still go before a routine one. What comes later than that goes behind
# it, so that none waits for ever. The model's start is shorter than any order's, and never negative.
HEAD_START = {
    Priority.STAT: timedelta(days=14),
    Priority.URGENT: timedelta(days=3),
    Priority.ROUTINE: timedelta(0),
}
RAISED_START = timedelta(days=1)

# What the lists know: shown, and no prior that was fetched to compare another with.
SHOWN = Q(withdrawn=False, is_prior=False)
# On the worklist: not signed, or films came after that, or a second reader is asked for.
TO_READ = SHOWN & Q(~Q(read_state__in=["final", "amended"]) | Q(late_films=True) | Q(second_read_due=True))


def rank_of(received_at: datetime, priority: str, *, raised: bool) -> datetime:
    """The earliest comes first. It stays while the study waits and what comes after it ranks later: so a
    waiting study rises by itself, and the list is one index read from its start."""
    return received_at - HEAD_START[Priority(priority)] - (RAISED_START if raised else timedelta(0))
