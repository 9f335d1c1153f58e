"""Where a department's films come from, how soon they are wanted, and what is asked. All made up."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Place:
    """`upright` and `bedside` are its shares of the day's PA and AP films; `stat` and `urgent` shares of what
    it orders."""

    rooms: tuple[str, ...]
    upright: float
    bedside: float
    stat: float
    urgent: float
    questions: tuple[str, ...]


PLACES = (
    Place(
        ("ER 1", "ER 2", "ER 4", "ER 5", "ER 6"), 0.24, 0.26, 0.12, 0.40,
        (
            "Short of breath since this morning.", "Fall from a ladder, rib pain left. Pneumothorax?",
            "Chest pain. Mediastinum?", "Fever and cough for three days.", "Collapsed at home.",
            "Sudden pain on the right, tall and slim.", "Swollen legs, crackles at both bases.",
        ),
    ),
    Place(
        ("ICU 2", "ICU 5", "ICU 8", "ICU 11"), 0.0, 0.40, 0.08, 0.22,
        (
            "Position of the tube? Effusion?", "Central line right. Pneumothorax?", "Daily film, ventilated.",
            "Drain right: is the lung expanded?", "More oxygen since midnight.",
        ),
    ),
    Place(
        ("Ward 2 West", "Ward 3 East", "Ward 4 East", "Ward 5 West"), 0.30, 0.34, 0.01, 0.15,
        (
            "Heart failure, follow-up.", "Pneumonia, day 5: better?", "Effusion tapped yesterday.",
            "Fever after surgery.", "After thoracotomy, day 2.", "Cough and fever for three days.",
        ),
    ),
    Place(
        ("Outpatients",), 0.28, 0.0, 0.0, 0.03,
        (
            "Cough for six weeks.", "Nodule known, follow-up.", "Before chemotherapy.",
            "Weight loss, smoker.", "Contact with tuberculosis.", "Before a new medicine: effusion?",
        ),
    ),
    Place(
        ("Day surgery", "Admissions"), 0.18, 0.0, 0.0, 0.02,
        ("Before surgery.", "Before surgery. Heart size?", "Before anaesthesia, smoker."),
    ),
)  # fmt: skip
