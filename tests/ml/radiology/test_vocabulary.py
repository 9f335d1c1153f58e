"""What may be said, and its codes: against pydicom's dictionaries and the words that no result may use."""

from __future__ import annotations

import re
from dataclasses import dataclass

import pytest
from pydicom.sr._cid_dict import cid_concepts
from pydicom.sr._concepts_dict import concepts

from ml.radiology import vocabulary
from ml.radiology.codes import (
    DCM,
    LATERALITY,
    LOINC,
    OWN,
    PROCEDURES,
    RADLEX,
    SNOMED,
    VIEWS,
    Code,
    procedure_of,
    view_of,
)
from ml.radiology.synthetic import LABELS
from ml.radiology.vocabulary import (
    NOT_LOOKED_FOR,
    NOT_REPORTED,
    TERMS,
    Term,
    forbidden_in,
    headline,
    says,
    statement,
    term_of,
)

NIH = (
    "Atelectasis", "Cardiomegaly", "Effusion", "Infiltration", "Mass", "Nodule", "Pneumonia", "Pneumothorax",
    "Consolidation", "Edema", "Emphysema", "Fibrosis", "Pleural_Thickening", "Hernia",
)  # fmt: skip
CHEXPERT = (
    "Enlarged Cardiomediastinum", "Cardiomegaly", "Lung Opacity", "Lung Lesion", "Edema", "Consolidation",
    "Pneumonia", "Atelectasis", "Pneumothorax", "Pleural Effusion", "Pleural Other", "Fracture",
    "Support Devices",
)  # fmt: skip


@dataclass(frozen=True)
class Finding:
    label: str
    operating_point: float | None = 0.5
    positive: bool = False


def in_group(code: Code, group: int) -> bool:
    names = cid_concepts[group].get(code.scheme, [])
    return any(code.value in concepts[code.scheme][name] for name in names)


def meanings(code: Code) -> set[str]:
    """What DICOM's own dictionary calls it."""
    known = concepts[code.scheme].values()
    return {entry[code.value][0].lower() for entry in known if code.value in entry}


def test_it_works() -> None:
    findings = [Finding("Effusion", positive=True), Finding("Pneumonia"), Finding("Nodule", None)]
    assert statement(findings) == (
        "Raised by AI: pleural effusion. Looked for: opacity, pneumonia possible; pleural effusion. "
        "Insufficient evidence for an operating point, shown and not called: nodule. "
        "Not looked for: anything else, and on which side, of what extent, or how it was before."
    )


def test_with_nothing_called_it_says_what_was_looked_for_and_no_more() -> None:
    said = statement([Finding("Pneumothorax"), Finding("Effusion")])
    assert said == (
        f"No finding above its operating point. Looked for: pleural effusion, pneumothorax. {NOT_LOOKED_FOR}"
    )
    assert forbidden_in(said) == []
    assert headline([Finding("Mass", None)]) == "No finding has an operating point: nothing was called."


@pytest.mark.parametrize("label", [*LABELS, *NIH, *CHEXPERT])
def test_the_usual_labels_are_in_the_table_however_they_are_written(label: str) -> None:
    known = term_of(label)
    assert known in TERMS.values()
    for other in (label.upper(), label.lower().replace(" ", "_"), label.replace("_", "-")):
        assert term_of(other) == known


def test_a_model_of_pneumonia_says_opacity() -> None:
    assert says("Pneumonia") == "opacity, pneumonia possible"
    assert term_of("Pneumonia").code.meaning == "opacity"


def test_every_code_of_dicoms_groups_is_there_and_means_what_it_says() -> None:
    groups = [(VIEWS.values(), 4010), (LATERALITY.values(), 244)]
    for codes, group in groups:
        for code in codes:
            assert in_group(code, group), code
            assert code.meaning.lower() in meanings(code)
    checked = [term.code for term in TERMS.values() if term.code.scheme in (SNOMED, DCM)]
    assert len(checked) > 6
    for code in checked:
        assert any(in_group(code, group) for group in (6101, 6102, 6104, 6105, 8134)), code
        assert code.meaning.lower() in meanings(code)


def test_a_wrong_code_would_be_noticed() -> None:
    assert not in_group(Code("36118009", SNOMED, "Pneumothorax"), 6105)
    # Why cardiomegaly has a code of ours: DICOM's group gives it another disorder's.
    assert "enlarged septal foramen of heart (disorder)" in meanings(Code("287272002", SNOMED, ""))


def test_codes_fit_their_places() -> None:
    every = [
        *(term.code for term in TERMS.values()), *VIEWS.values(), *LATERALITY.values(), *PROCEDURES,
        term_of("Something that nobody ever coded").code, term_of("normal").code,
    ]  # fmt: skip
    for code in every:
        assert 0 < len(code.value) <= 16 and 0 < len(code.meaning) <= 64, code
        shape = {RADLEX: r"RID\d+", LOINC: r"\d+-\d", SNOMED: r"\d+", DCM: r"\d+", OWN: r"\w+"}[code.scheme]
        assert re.fullmatch(shape, code.value), code
    for code in PROCEDURES:
        number, check = code.value.split("-")
        assert luhn(number) == int(check), code


def luhn(number: str) -> int:
    """The check digit that LOINC puts behind a code (modulus 10)."""
    doubled = [int(digit) * (2 - place % 2) for place, digit in enumerate(reversed(number))]
    return -sum(digit // 10 + digit % 10 for digit in doubled) % 10


def test_the_table_itself_says_nothing_forbidden() -> None:
    words = [f"{term.says}. {term.code.meaning}" for term in TERMS.values()]
    assert len(words) > 20
    assert [found for text in words for found in forbidden_in(text)] == []


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("The film is normal.", "all clear"),
        ("Cleared by AI", "all clear"),
        ("No pneumothorax.", "absence"),
        ("no finding", "absence"),
        ("without pleural effusion", "absence"),
        ("No acute consolidation", "absence"),
        ("Left effusion", "side"),
        ("nodule of 12 mm", "size"),
        ("large pneumothorax", "size"),
        ("unchanged, compared with the film of May", "change"),
        ("Pneumonia.", "diagnosis"),
    ],
)
def test_forbidden_words_are_noticed(text: str, kind: str) -> None:
    assert kind in {found.split(":")[0] for found in forbidden_in(text)}


def test_a_forbidden_word_put_into_the_table_is_noticed(monkeypatch) -> None:
    monkeypatch.setitem(TERMS, "effusion", Term("large left pleural effusion", TERMS["effusion"].code))
    found = forbidden_in(statement([Finding("Effusion", positive=True)]))
    assert [one.split(":")[0] for one in found] == ["side", "size"]


@pytest.mark.parametrize("label", ["Normal", "No Finding", "Left Effusion", "Nodule 12 mm", "healthy", " "])
def test_a_label_that_says_too_much_is_not_repeated(label: str) -> None:
    assert says(label) == NOT_REPORTED
    assert forbidden_in(statement([Finding(label, positive=True)])) == []


def test_a_label_nobody_coded_is_said_as_possible_and_never_shares_a_code() -> None:
    one, other = term_of("Tuberculosis"), term_of("Tuberculous_scar of old")
    assert one.says == "Tuberculosis possible"
    assert one.code.scheme == other.code.scheme == OWN
    assert one.code.value != term_of("Tuberculous_scar of new").code.value != other.code.value
    assert forbidden_in(f"{one.says}. {one.code.meaning}") == []


def test_labels_of_one_meaning_are_said_once() -> None:
    both = [Finding("Effusion", positive=True), Finding("Pleural Effusion", positive=True)]
    assert headline(both) == "Raised by AI: pleural effusion."
    assert vocabulary.listed(["Mass", "Pneumonia"]) == "mass; opacity, pneumonia possible"


@pytest.mark.parametrize(
    ("views", "code"),
    [
        (["PA"], "36554-4"), (["AP"], "36572-6"), ([""], "36554-4"), (["PA", "LL"], "42272-5"),
        (["AP", "LATERAL"], "36687-2"), (["PA", "PA"], "36643-5"), (["PA", "LL", "AP"], "30745-4"),
    ],
)  # fmt: skip
def test_the_procedure_follows_from_the_views(views: list[str], code: str) -> None:
    assert procedure_of(views).value == code


@pytest.mark.parametrize(
    ("sent", "view"),
    [
        ("PA", "PA"), ("pa ", "PA"), ("postero-anterior", "PA"), ("POSTEROANTERIOR", "PA"),
        ("ANTERO-POSTERIOR", "AP"), ("left lateral", "LL"), ("LAT", "LATERAL"), ("oblique", ""), ("", ""),
    ],
)  # fmt: skip
def test_a_view_is_known_by_its_value_or_its_meaning(sent: str, view: str) -> None:
    assert view_of(sent) == view
