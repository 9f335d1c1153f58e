"""What a reader of drawn films says: the truth of the drawing, spoilt at known rates."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

import numpy as np

from apps.accounts.models import User
from apps.radiology.models import Read, Study
from apps.radiology.reading.services.reads import begin_read, commit_read, keep_draft, sign_read
from apps.radiology.studies.reads import Said

MISSED, OVERCALLED, UNSURE, PERSUADED = 0.09, 0.03, 0.02, 0.4
TEXT = "SYNTHETIC report."


def says(truth: Mapping[str, bool], rng: np.random.Generator) -> dict[str, Said]:
    return {label: Said(_sees(present, rng)) for label, present in truth.items()}


def read_whole(
    study: Study, reader: User, truth: Mapping[str, bool], at: datetime, rng: np.random.Generator
) -> Read:
    """Begun, committed, reconsidered and signed; dated to when it is said to have been signed."""
    read = begin_read(study, reader, over=True)
    said = says(truth, rng)
    keep_draft(read, said, TEXT)
    read = commit_read(read)
    for label, one in said.items():
        if one.verdict == "absent" and label in study.raised_by and rng.random() < PERSUADED:
            said[label] = Said("present")
    keep_draft(read, said, TEXT)
    read = sign_read(read)
    read.marks.filter(after_reveal=False).update(at=at - timedelta(minutes=4))
    read.marks.filter(after_reveal=True).update(at=at - timedelta(minutes=1))
    opened, committed = at - timedelta(minutes=6), at - timedelta(minutes=2)
    Read.objects.filter(pk=read.pk).update(opened_at=opened, committed_at=committed, signed_at=at)
    return read


def _sees(present: bool, rng: np.random.Generator) -> str:
    if rng.random() < UNSURE:
        return "unsure"
    wrong = rng.random() < (MISSED if present else OVERCALLED)
    return "present" if present != wrong else "absent"
