"""A radiologist's report: its sections, and what they marked as sentences and codes.

Only what was marked or written is in it. What was not is unknown: nothing here says that a film is free of
anything.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from ml.radiology.codes import DCM, LATERALITY, LOINC, SNOMED, Code
from ml.radiology.vocabulary import says, term_of


@dataclass(frozen=True, slots=True)
class Heading:
    """A section: its title on pages, its heading in a DICOM report (context group 7001), and what its text is
    there (7002, or the heading again)."""

    title: str
    code: Code
    text: Code


_INDICATION = Code("18785-6", LOINC, "Indications for Procedure")
_COMPARISON = Code("55114-3", LOINC, "Prior Procedure Descriptions")
SECTIONS: Mapping[str, Heading] = {
    "indication": Heading("Indication", _INDICATION, _INDICATION),
    "technique": Heading(
        "Technique",
        Code("55111-9", LOINC, "Current Procedure Descriptions"),
        Code("121065", DCM, "Procedure Description"),
    ),
    "comparison": Heading("Comparison", _COMPARISON, _COMPARISON),
    "findings": Heading(
        "Findings", Code("59776-5", LOINC, "Findings"), Code("121071", DCM, "Finding")
    ),
    "impression": Heading(
        "Impression", Code("19005-8", LOINC, "Impressions"), Code("121073", DCM, "Impression")
    ),
}  # fmt: skip
_ADDENDUM = Code("55107-7", LOINC, "Addendum")
ADDENDUM = Heading("Addendum", _ADDENDUM, _ADDENDUM)
# Context group 240, by what was marked: "unsure" is that somebody looked and could not tell.
PRESENCE = {
    "present": Code("52101004", SNOMED, "Present"),
    "absent": Code("272519000", SNOMED, "Absent"),
    "unsure": Code("373068000", SNOMED, "Undetermined"),
}
SIDE = Code("272741003", SNOMED, "Laterality")
SIDES = {"R": "right", "L": "left", "B": "both sides"}


@dataclass(frozen=True, slots=True)
class Marked:
    """What a reader said of one finding: a key of PRESENCE, and the patient's side, a key of SIDES or ""."""

    label: str
    verdict: str
    side: str = ""

    @property
    def finding(self) -> Code:
        return term_of(self.label).code

    @property
    def presence(self) -> Code:
        return PRESENCE[self.verdict]

    @property
    def laterality(self) -> Code | None:
        return LATERALITY.get(self.side)

    @property
    def sentence(self) -> str:
        words = says(self.label)
        side = f", {SIDES[self.side]}" if self.side else ""
        return f"{words[0].upper()}{words[1:]}: {self.verdict}{side}."


@dataclass(frozen=True, slots=True)
class Verifier:
    """Who answers for a report: a person's name as they write it, their organisation, and when they signed.

    `at` is aware, in the time zone of the study's own times.
    """

    name: str
    organization: str
    at: datetime

    @property
    def person_name(self) -> str:
        """PN. Which part is the family name nobody can tell, so all of it stands in the first component."""
        plain = re.sub(r"[\^=\\\s]+", " ", self.name).strip()
        return f"{plain[:62]}^"


@dataclass(frozen=True, slots=True)
class SignedReport:
    """`texts` are (key of SECTIONS, what was written there); `addenda` (when, what), the first first."""

    marked: Sequence[Marked]
    texts: Sequence[tuple[str, str]]
    addenda: Sequence[tuple[datetime, str]]
    verifier: Verifier
