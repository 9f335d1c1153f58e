"""The tables: who sends, what came, what was decided, and what the outside was told."""

from __future__ import annotations

from apps.fraud.models.backtests import Backtest, BacktestState
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
from apps.fraud.models.labels import FraudLabel, FraudType, LabelSource
from apps.fraud.models.operating import Method, OperatingPoint, OperatingProposal, ProposalReview
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

__all__ = [
    "AMOUNT_MAX_MINOR",
    "DECIDED_TYPES",
    "SHARDS",
    "TAKES_BACK",
    "TOO_OLD",
    "Action",
    "Alert",
    "AlertStatus",
    "Backtest",
    "BacktestState",
    "Channel",
    "Decision",
    "Delivery",
    "EntryMode",
    "EventKey",
    "EventType",
    "Evidence",
    "FraudLabel",
    "FraudType",
    "FxRate",
    "HeardLater",
    "KeyState",
    "LabelSource",
    "LateState",
    "ListEntry",
    "ListKind",
    "ListName",
    "Method",
    "Mode",
    "OperatingPoint",
    "OperatingProposal",
    "OutboxRow",
    "Outcome",
    "PassThrough",
    "PassThroughDay",
    "PassThroughPolicy",
    "PassThroughSwitch",
    "ProposalReview",
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
    "by_thresholds",
]
