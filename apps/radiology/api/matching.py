"""What a QIDO-RS query asks for (PS3.18 8.3.4, PS3.4 C.2.2.2), as conditions on our rows."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from django.db.models import Exists, OuterRef, Q
from django.http import QueryDict
from pydicom.datadict import keyword_for_tag, tag_for_keyword

from apps.core.errors import LynceusError
from apps.radiology.models import NOT_REJECTED, Instance

LIMIT, LIMIT_MAX, OFFSET_MAX = 100, 1000, 1_000_000
VALUE_MAX, UIDS_MAX = 256, 500
_UID = re.compile(r"[0-9.]{1,64}")
_DATE = re.compile(r"[0-9]{8}")
_TIME = re.compile(r"[0-9]{2}([0-9]{2}([0-9]{2}(\.[0-9]{1,6})?)?)?")
_TAG = re.compile(r"[0-9A-Fa-f]{8}")


@dataclass(slots=True)
class Asked:
    """`study` is a condition on studies, `film` one on instances; `names` the attributes matched on."""

    study: Q = field(default_factory=Q)
    film: Q = field(default_factory=Q)
    names: set[str] = field(default_factory=set)
    included: set[str] = field(default_factory=set)
    ignored: set[str] = field(default_factory=set)
    limit: int = LIMIT
    offset: int = 0


def asked_in(query: QueryDict) -> Asked:
    """Raises LynceusError 400: unknown_attribute, bad_query. What is known and not held here is ignored."""
    asked = Asked()
    fuzzy = query.get("fuzzymatching", "").lower() == "true"
    for name, values in query.lists():
        if name in ("limit", "offset"):
            _page(asked, name, values[-1])
        elif name == "includefield":
            asked.included |= {_keyword(one) for value in values for one in value.split(",") if one}
        elif name not in ("fuzzymatching", "accept"):
            _match(asked, _keyword(name), values, fuzzy=fuzzy)
    return asked


def _page(asked: Asked, name: str, value: str) -> None:
    if not (value.isascii() and value.isdecimal()) or (name == "offset" and int(value[:9]) > OFFSET_MAX):
        raise _bad(name)
    setattr(asked, name, min(int(value[:9]), LIMIT_MAX if name == "limit" else OFFSET_MAX))


def _keyword(name: str) -> str:
    """The keyword of an attribute named by keyword or tag; of one inside sequences, that of the outermost."""
    if name == "all":
        return name
    first = name.split(".")[0]
    keyword = keyword_for_tag(int(first, 16)) if _TAG.fullmatch(first) else first
    if not keyword or tag_for_keyword(keyword) is None:
        raise LynceusError("unknown_attribute", "The query names no attribute of DICOM's.", status=400)
    return keyword if first == name else ""


def _match(asked: Asked, keyword: str, values: list[str], *, fuzzy: bool) -> None:
    value = "\\".join(values) if keyword in _LISTS else values[-1]
    if len(values) > 1 and keyword not in _LISTS:
        raise _bad(keyword)
    if any(ord(letter) < 32 for letter in value):
        raise _bad(keyword)
    if value.strip("*") == "":  # universal matching (PS3.4 C.2.2.2.3)
        asked.included.add(keyword)
    elif keyword in _STUDY:
        how = _fuzzy_name if fuzzy and keyword == "PatientName" else _STUDY[keyword]
        asked.study &= how(keyword, value)
        asked.names.add(keyword)
    elif keyword in _FILM:
        asked.film &= _FILM[keyword](keyword, value)
        asked.names.add(keyword)
    else:
        asked.ignored.add(keyword)


def _uids(keyword: str, value: str) -> Q:
    uids = re.split(r"[\\,]", value)
    if len(uids) > UIDS_MAX or not all(_UID.fullmatch(uid) for uid in uids):
        raise _bad(keyword)
    return Q(**{f"{keyword}__in": uids})


def _text(keyword: str, value: str) -> Q:
    return _wild(keyword, value, "regex") if _is_wild(keyword, value) else Q(**{keyword: value})


def _words(keyword: str, value: str) -> Q:
    """Of descriptions, which nobody types the way they were typed: case makes no difference."""
    return _wild(keyword, value, "iregex") if _is_wild(keyword, value) else Q(**{f"{keyword}__iexact": value})


def _name(keyword: str, value: str) -> Q:
    """Without regard to case and to empty components at the end, by any of the three groups (PS3.5 6.2.1)."""
    _is_wild(keyword, value)
    return _wild(keyword, value.rstrip("^"), "iregex", before="(^|=)", after=r"\^*($|=)")


def _fuzzy_name(keyword: str, value: str) -> Q:
    """Each word begins some component of the name, in any order."""
    _is_wild(keyword, value)
    found = Q()
    for word in re.split(r"[\s,^=*?]+", value.strip("*? ^")):
        found &= Q(**{f"{keyword}__iregex": rf"(^|[\^= ,]){re.escape(word)}"})
    return found


def _codes(keyword: str, value: str) -> Q:
    return Q(**{f"{keyword}__in": [code.strip() for code in re.split(r"[\\,]", _checked(keyword, value))]})


def _in_study(column: str) -> Callable[[str, str], Q]:
    """Any film in use of the study has one of these."""

    def match(keyword: str, value: str) -> Q:
        films = Instance.objects.filter(NOT_REJECTED, _codes(column, value), study=OuterRef("pk"))
        return Q(Exists(films))

    return match


def _between(form: re.Pattern[str], last: str) -> Callable[[str, str], Q]:
    """Single value or range, either end open. `last` fills an end less precise than what is stored."""

    def match(keyword: str, value: str) -> Q:
        start, dash, end = value.partition("-")
        end = end if dash else start
        if not all(form.fullmatch(one) for one in (start, end) if one) or not start + end:
            raise _bad(keyword)
        found = ~Q(**{keyword: ""})
        if start:
            found &= Q(**{f"{keyword}__gte": start})
        if end:
            found &= Q(**{f"{keyword}__lte": end + last[len(end) :]})
        return found

    return match


def _is_wild(keyword: str, value: str) -> bool:
    return bool(set("*?") & set(_checked(keyword, value)))


def _checked(keyword: str, value: str) -> str:
    if len(value) > VALUE_MAX:
        raise _bad(keyword)
    return value


def _wild(keyword: str, value: str, lookup: str, before: str = "^", after: str = "$") -> Q:
    # Stars that follow each other are one: a pattern must not cost more than what it matches.
    pieces = {"*": ".*", "?": "."}
    pattern = "".join(pieces.get(one, re.escape(one)) for one in re.sub(r"\*+", "*", value))
    return Q(**{f"{keyword}__{lookup}": f"{before}{pattern}{after}"})


def _bad(keyword: str) -> LynceusError:
    return LynceusError("bad_query", f"The value of {keyword} cannot be matched.", status=400)


_dates, _times = _between(_DATE, ""), _between(_TIME, "235959.999999")
_STUDY: dict[str, Callable[[str, str], Q]] = {
    "StudyInstanceUID": _uids,
    "PatientID": _text,
    "IssuerOfPatientID": _text,
    "PatientName": _name,
    "PatientBirthDate": _dates,
    "PatientSex": _text,
    "AccessionNumber": _text,
    "ReferringPhysicianName": _name,
    "StudyID": _text,
    "StudyDescription": _words,
    "StudyDate": _dates,
    "StudyTime": _times,
    "ModalitiesInStudy": _in_study("Modality"),
    "SOPClassesInStudy": _in_study("SOPClassUID"),
}
_FILM: dict[str, Callable[[str, str], Q]] = {
    "SeriesInstanceUID": _uids,
    "SOPInstanceUID": _uids,
    "SOPClassUID": _uids,
    "Modality": _codes,
    "BodyPartExamined": _text,
    "ViewPosition": _text,
    "SeriesDescription": _words,
}
_LISTS = {"StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID", "SOPClassesInStudy"}
