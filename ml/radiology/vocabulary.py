"""What may be said of a finding: one table for pages, API, structured report and overlay.

A model trained on a label was validated for that label's films, not for a diagnosis: a sign is named, and
what it may come from is "possible". Nothing says that a film is free of anything, on which side or how large
something is, or how it was before.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from ml.radiology.codes import DCM, OWN, RADLEX, SNOMED, Code

NOTHING_CALLED = "No finding above its operating point."
NOT_LOOKED_FOR = "Not looked for: anything else, and on which side, of what extent, or how it was before."
RESEARCH_USE = "Research software, not a medical device."
PRELIMINARY = "Preliminary result of an algorithm, not verified by a person."
NOT_REPORTED = "label not reported"


class Called(Protocol):
    """A finding with its call, as models and tables have it."""

    @property
    def label(self) -> str: ...
    @property
    def operating_point(self) -> float | None: ...
    @property
    def positive(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class Term:
    """`says` goes into the middle of a sentence."""

    says: str
    code: Code


_OPACITY = Code("RID28530", RADLEX, "opacity")
_EFFUSION = Term("pleural effusion", Code("60046008", SNOMED, "Pleural effusion"))
_NODULE = Term("nodule", Code("27925004", SNOMED, "Nodule"))
_LUNG_OPACITY = Term("opacity", _OPACITY)
_EDEMA = Term("opacity, edema possible", _OPACITY)
_THICKENING = Term("pleural thickening", Code("pleural_thick", OWN, "Pleural thickening"))

# By the label as trained, in lower case, with single spaces for whatever stands between its words: ours
# (ml/radiology/pathology.py), those of NIH ChestX-ray14 and of CheXpert. DICOM's context groups give
# cardiomegaly a code that is another disorder's in SNOMED CT, and RadLex has none.
TERMS = {
    "atelectasis": Term("atelectasis", Code("RID28493", RADLEX, "atelectasis")),
    "cardiomegaly": Term(
        "enlarged cardiac silhouette", Code("cardiac_sil", OWN, "Enlarged cardiac silhouette")
    ),
    "consolidation": Term("consolidation", Code("RID43255", RADLEX, "consolidation")),
    "edema": _EDEMA,
    "effusion": _EFFUSION,
    "emphysema": Term("lucency, emphysema possible", Code("112062", DCM, "Abnormal lucency")),
    "enlarged cardiomediastinum": Term(
        "enlarged cardiomediastinal silhouette",
        Code("cardiomed_sil", OWN, "Enlarged cardiomediastinal silhouette"),
    ),
    "fibrosis": Term("reticular pattern, fibrosis possible", Code("112113", DCM, "Reticular pattern")),
    "fracture": Term("fracture", Code("RID4650", RADLEX, "fracture")),
    "hernia": Term("hernia possible", Code("hernia", OWN, "Hernia possible")),
    "infiltration": Term("infiltrate-like opacity", Code("112121", DCM, "Infiltrate")),
    "lung lesion": Term("nodule or mass", Code("nodule_or_mass", OWN, "Nodule or mass")),
    "lung opacity": _LUNG_OPACITY,
    "mass": Term("mass", Code("4147007", SNOMED, "Mass")),
    "nodule": _NODULE,
    "opacity": _LUNG_OPACITY,
    "pleural effusion": _EFFUSION,
    "pleural other": Term("other pleural finding", Code("pleural_other", OWN, "Other pleural finding")),
    "pleural thickening": _THICKENING,
    "pneumonia": Term("opacity, pneumonia possible", _OPACITY),
    "pneumothorax": Term("pneumothorax", Code("36118008", SNOMED, "Pneumothorax")),
    "pulmonary edema": _EDEMA,
    "pulmonary nodule": _NODULE,
    "support devices": Term("support device", Code("support_device", OWN, "Support device")),
}
_DIAGNOSES = (
    r"pneumonia|o?edema|emphysema|fibrosis|hernia|tuberculosis|tb|covid|cancer|carcinoma|malignan\w*"
    r"|tumou?r|metasta\w*|heart failure|embolism|sarcoidosis|silicosis"
)
_SIGNS = (
    r"findings?|abnormalit\w*|opacit\w*|consolidations?|(pleural )?effusions?|(lung )?nodules?|mass(es)?"
    r"|pneumothorax|atelectasis|lucency|(pleural )?thickening|cardiomegaly|infiltrates?|lesions?|devices?"
    r"|fractures?"
)
_ABOUT_POINTS = r"(?! (above its|has an) operating point)"
FORBIDDEN = {
    "all clear": r"\b(normal|unremarkable|clear|cleared|healthy|benign|negative|ruled? out|free of)\b",
    "absence": rf"\b(no|without|absent|absence of)\s+(\w+\s+)?({_SIGNS}|{_DIAGNOSES})\b{_ABOUT_POINTS}",
    "side": r"\b(left|right|bilateral|unilateral)\b",
    "size": r"\b(\d+(\.\d+)?\s*(mm|cm)|tiny|small|moderate|large|massive|mild|severe)\b",
    "change": r"\b(compared (with|to)|unchanged|stable|progress\w*|worse\w*|improv\w*|prior|since the)\b",
    "diagnosis": rf"\b({_DIAGNOSES})\b(?! possible)",
}


def forbidden_in(text: str) -> list[str]:
    """What a text says that no result may say, each as "kind: words"."""
    found = ((kind, re.search(pattern, text, re.IGNORECASE)) for kind, pattern in FORBIDDEN.items())
    return [f"{kind}: {match[0]}" for kind, match in found if match]


def term_of(label: str) -> Term:
    """Of a label that is in no table, the label as possible, unless it says what no result may say."""
    words = re.sub(r"[\W_]+", " ", label).strip()
    if (known := TERMS.get(words.lower())) is not None:
        return known
    says = f"{words} possible"
    if not words or forbidden_in(says):
        return Term(NOT_REPORTED, Code("not_reported", OWN, "Label not reported"))
    return Term(says, Code(_own_value(words.lower()), OWN, f"{words[:55]} possible"))


def _own_value(words: str) -> str:
    """At most the 16 characters of a Code Value, another for other words."""
    value = words.replace(" ", "_")
    return value if len(value) <= 16 else f"{value[:7]}_{zlib.crc32(words.encode()):08x}"


def says(label: str) -> str:
    return term_of(label).says


def headline(findings: Iterable[Called]) -> str:
    """What was called, or that nothing was."""
    findings = list(findings)
    if called := [finding.label for finding in findings if finding.positive]:
        return f"Raised by AI: {listed(called)}."
    if findings and all(finding.operating_point is None for finding in findings):
        return "No finding has an operating point: nothing was called."
    return NOTHING_CALLED


def statement(findings: Sequence[Called]) -> str:
    """The headline, and what was and was not looked for."""
    by_words = sorted(findings, key=lambda finding: says(finding.label))
    sought = [finding.label for finding in by_words if finding.operating_point is not None]
    shown = [finding.label for finding in by_words if finding.operating_point is None]
    parts = [headline(findings)]
    if sought:
        parts.append(f"Looked for: {listed(sought)}.")
    if shown:
        parts.append(f"Insufficient evidence for an operating point, shown and not called: {listed(shown)}.")
    return " ".join([*parts, NOT_LOOKED_FOR])


def attention_words(label: str) -> tuple[str, str]:
    """What stands under a film with the model's attention laid over it."""
    return (
        f"Model attention, {says(label)}, research use.",
        "Where the model looked, not where the finding is. Preliminary, not verified by a person.",
    )


def listed(labels: Iterable[str]) -> str:
    """The labels' terms, each once; semicolons where one has a comma of its own."""
    terms = list(dict.fromkeys(says(label) for label in labels))
    return ("; " if any("," in term for term in terms) else ", ").join(terms)
