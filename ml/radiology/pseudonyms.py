"""What stands in the place of identity: keyed, so that the same patient, UID and interval stay the same
within one project, and nobody without the key can lead them back or tie two projects together."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from dataclasses import dataclass
from datetime import date, timedelta

WELL_KNOWN = "1.2.840.10008."  # DICOM's own: classes, transfer syntaxes, frames of reference
SHIFT_DAYS_MAX = 3650
_DAY = re.compile(r"([0-9]{4})\.?([0-9]{2})\.?([0-9]{2})(.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Pseudonyms:
    """Of one patient, `patient` being whatever tells patients apart."""

    key: bytes
    patient: str

    @property
    def patient_id(self) -> str:
        """Number and name at once."""
        return "P" + base64.b32encode(self._digest("patient", self.patient)[:10]).decode().rstrip("=")

    @property
    def shift_days(self) -> int:
        """1 to SHIFT_DAYS_MAX, by which every date of the patient lies earlier."""
        return 1 + int.from_bytes(self._digest("shift", self.patient)[:8]) % SHIFT_DAYS_MAX

    def uid(self, uid: str) -> str:
        """PS3.5 B.2: 2.25 and a number. The same for every patient: references lead across studies."""
        if not uid or uid.startswith(WELL_KNOWN):
            return uid
        return f"2.25.{int.from_bytes(self._digest('uid', uid)[:15])}"

    def day(self, value: str) -> str:
        """A DA or DT value moved; empty where it holds no whole day."""
        found = _DAY.fullmatch(value.strip())
        try:
            moved = date(*(int(part) for part in found.groups()[:3])) if found else None
            moved = moved - timedelta(days=self.shift_days) if moved else None
        except (ValueError, OverflowError):
            moved = None
        return f"{moved:%Y%m%d}{found[4]}" if moved and found else ""

    def _digest(self, what: str, value: str) -> bytes:
        return hmac.new(self.key, f"{what}\0{value}".encode(), hashlib.sha256).digest()
