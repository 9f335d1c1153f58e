"""What the API says about a study."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from ninja import Schema
from pydantic import ConfigDict, Field, StringConstraints, model_validator


class CodeOut(Schema):
    value: str
    scheme: str
    meaning: str


class FindingOut(Schema):
    label: str
    says: str
    code: CodeOut
    probability: float
    operating_point: float | None
    positive: bool


class InstanceOut(Schema):
    sop_instance_uid: str
    status: str
    reason: str
    reason_code: str
    statement: str
    findings: list[FindingOut]


PriorityWord = Literal["stat", "urgent", "routine"]
_PLAIN = r"^[^\x00-\x1f\x7f]*$"  # one line, and nothing that a database or a terminal takes for a command
Location = Annotated[str, StringConstraints(strip_whitespace=True, max_length=64, pattern=_PLAIN)]
Question = Annotated[str, StringConstraints(strip_whitespace=True, max_length=400, pattern=_PLAIN)]


class OrderIn(Schema):
    """What is left out stays as it is; an empty text takes it back."""

    model_config = ConfigDict(extra="forbid")
    priority: PriorityWord = Field(default="routine", description="How soon it is to be read.")
    location: Location = Field(default="", description="Where the patient is, CurrentPatientLocation.")
    clinical_question: Question = Field(default="", description="ReasonForTheRequestedProcedure.")

    @model_validator(mode="after")
    def _something(self) -> OrderIn:
        if not self.model_fields_set:
            raise ValueError("Give at least one of priority, location, clinical_question.")
        return self


class OrderOut(Schema):
    study_instance_uid: str
    priority: PriorityWord
    location: str
    clinical_question: str


class StudyOut(Schema):
    study_instance_uid: str
    order: OrderOut
    status: str
    reason: str
    statement: str
    findings: list[FindingOut]
    instances: list[InstanceOut]
    model_version: int | None
    synthetic: bool
    complete_at: datetime | None
    identity_in_question: bool
    withheld: bool
