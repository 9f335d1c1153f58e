"""What the API says about a study."""

from __future__ import annotations

from datetime import datetime

from ninja import Schema


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


class StudyOut(Schema):
    study_instance_uid: str
    status: str
    reason: str
    statement: str
    findings: list[FindingOut]
    instances: list[InstanceOut]
    model_version: int | None
    synthetic: bool
    complete_at: datetime | None
    identity_in_question: bool
