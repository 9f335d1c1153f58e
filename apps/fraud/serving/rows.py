"""Rows of the database as the reducer's own types."""

from __future__ import annotations

from datetime import datetime

from django.conf import settings

from apps.fraud.models import FraudLabel, Reversal, Transaction
from ml.fraud.clock import utc_offset_us
from ml.fraud.contracts import Event, Label
from ml.fraud.contracts import Reversal as TakenBack


def event_of(row: Transaction) -> Event:
    occurred_at_us = _us(row.occurred_at)
    return Event(
        event_id=row.event_id,
        type=row.type,
        occurred_at_us=occurred_at_us,
        card_token=row.card_token,
        amount_minor=row.amount_reporting_minor,
        currency=row.currency,
        merchant_id=row.merchant_id,
        terminal_id=row.terminal_id,
        mcc=row.mcc,
        country=row.country,
        entry_mode=row.entry_mode,
        channel=row.channel,
        device_id=row.device_id,
        ip=row.ip or "",
        latitude=row.latitude,
        longitude=row.longitude,
        received_at_us=_us(row.received_at),
        utc_offset_us=_offset_us(occurred_at_us),
    )


def label_of(row: FraudLabel) -> Label:
    paid = row.transaction
    return Label(
        card_token=paid.card_token,
        terminal_id=paid.terminal_id,
        occurred_at_us=_us(paid.occurred_at),
        known_at_us=_us(row.received_at),
        amount_minor=paid.amount_reporting_minor,
        fraud=row.fraud,
        utc_offset_us=_offset_us(_us(paid.occurred_at)),
    )


def reversal_of(row: Reversal) -> TakenBack:
    """Of one whose payment and amount are known."""
    if row.original is None or row.taken_minor is None:
        raise ValueError("nothing was taken back yet")
    paid = event_of(row.original)
    return TakenBack(
        paid.card_token, paid.terminal_id, paid.occurred_at_us, row.taken_minor, paid.merchant_id,
        paid.device_id, paid.utc_offset_us,
    )  # fmt: skip


def _offset_us(at_us: int) -> int:
    return utc_offset_us(at_us, settings.TIME_ZONE)


def _us(at: datetime) -> int:
    return int(at.timestamp()) * 1_000_000 + at.microsecond
