"""The tables: who sends, what came, what was decided, and what the outside was told."""

from __future__ import annotations

from apps.fraud.models.acts import Act, ActKind, ContactAttempt, ContactChannel, ContactOutcome
from apps.fraud.models.cases import CASE_TEXT_MAX, Case, CaseEntry, CaseKind
from apps.fraud.models.contests import MESSAGE_MAX, Contest, ContestOutcome
from apps.fraud.models.decisions import (
    TOO_OLD,
    Alert,
    AlertStatus,
    Decision,
    Evidence,
    Mode,
    Outcome,
    Rescore,
    by_thresholds,
)
from apps.fraud.models.dispositions import (
    GROUNDS,
    LABELLED,
    NOTE_MAX,
    Disposition,
    Ground,
    LabelDue,
    Verdict,
    Withdrawal,
)
from apps.fraud.models.labels import FraudLabel, FraudType, LabelSource, Notice, NoticeKind
from apps.fraud.models.operating import Method, OperatingPoint
from apps.fraud.models.outbox import Delivery, OutboxRow
from apps.fraud.models.pass_through import (
    PassThrough,
    PassThroughDay,
    PassThroughPolicy,
    PassThroughSwitch,
)
from apps.fraud.models.reversals import Reversal
from apps.fraud.models.rulesets import (
    ListEntry,
    ListKind,
    ListName,
    RuleActivation,
    RuleRevision,
    RuleSet,
)
from apps.fraud.models.sources import Action, FxRate, Source, SourceSecret
from apps.fraud.models.states import (
    HeardLater,
    KeyState,
    LateState,
    UnheardLabel,
)
from apps.fraud.models.transactions import (
    AMOUNT_MAX_MINOR,
    DECIDED_TYPES,
    SHARDS,
    TAKES_BACK,
    Channel,
    EntryMode,
    EventKey,
    EventType,
    ShardLock,
    Transaction,
    TransactionStatus,
)
from apps.fraud.models.work import Desk, DeskBudget, Move, QueueView, WorkItem, WorkMove

__all__ = [
    "AMOUNT_MAX_MINOR",
    "CASE_TEXT_MAX",
    "DECIDED_TYPES",
    "GROUNDS",
    "LABELLED",
    "MESSAGE_MAX",
    "NOTE_MAX",
    "SHARDS",
    "TAKES_BACK",
    "TOO_OLD",
    "Act",
    "ActKind",
    "Action",
    "Alert",
    "AlertStatus",
    "Case",
    "CaseEntry",
    "CaseKind",
    "Channel",
    "ContactAttempt",
    "ContactChannel",
    "ContactOutcome",
    "Contest",
    "ContestOutcome",
    "Decision",
    "Delivery",
    "Desk",
    "DeskBudget",
    "Disposition",
    "EntryMode",
    "EventKey",
    "EventType",
    "Evidence",
    "FraudLabel",
    "FraudType",
    "FxRate",
    "Ground",
    "HeardLater",
    "KeyState",
    "LabelDue",
    "LabelSource",
    "LateState",
    "ListEntry",
    "ListKind",
    "ListName",
    "Method",
    "Mode",
    "Move",
    "Notice",
    "NoticeKind",
    "OperatingPoint",
    "OutboxRow",
    "Outcome",
    "PassThrough",
    "PassThroughDay",
    "PassThroughPolicy",
    "PassThroughSwitch",
    "QueueView",
    "Rescore",
    "Reversal",
    "RuleActivation",
    "RuleRevision",
    "RuleSet",
    "ShardLock",
    "Source",
    "SourceSecret",
    "Transaction",
    "TransactionStatus",
    "UnheardLabel",
    "Verdict",
    "Withdrawal",
    "WorkItem",
    "WorkMove",
    "by_thresholds",
]
