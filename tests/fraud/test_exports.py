"""Lists taken away: harmless in a spreadsheet, typed in Parquet, bounded, streamed, and in the audit."""

from __future__ import annotations

import csv
import io
from typing import Any

import pyarrow.parquet as pq
import pytest

from apps.audit.models import AuditEvent
from apps.fraud.watch import exports
from apps.fraud.watch.exports import INTEGER, NUMBER, TEXT, TIME, Column, export, harmless
from tests.fraud.conftest import drain_all, event
from tests.fraud.test_counts import decided as decided
from tests.fraud.test_watch import analyst as analyst
from tests.fraud.test_watch import judged as judged


def content_of(answer: Any) -> bytes:
    assert answer.streaming
    return b"".join(answer.streaming_content)


def rows_of(answer: Any) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content_of(answer).decode())))


def test_it_works(analyst, judged) -> None:
    answer = analyst.get("/fraud/watch/events.csv")
    assert answer["Content-Disposition"] == 'attachment; filename="events.csv"'
    rows = rows_of(answer)
    assert len(rows) == 13
    [declined] = [row for row in rows if row["decision"] == "decline"]
    assert (declined["event_id"], declined["known"], declined["amount_minor"]) == (
        "d0",
        "legitimate",
        "3000000",
    )
    assert declined["card"] == "…-d0"
    assert "card-d0" not in str(rows)
    [told] = AuditEvent.objects.filter(action="events.exported")
    assert told.detail["form"] == "csv" and "since" in told.detail


def test_parquet_has_types_and_the_same_rows(analyst, judged) -> None:
    content = content_of(analyst.get("/fraud/watch/events.parquet"))
    table = pq.read_table(io.BytesIO(content))
    assert table.num_rows == 13
    kinds = {field.name: str(field.type) for field in table.schema}
    assert (kinds["amount_minor"], kinds["decided_at"]) == ("int64", "timestamp[us, tz=UTC]")
    assert (kinds["score"], kinds["merchant_id"]) == ("double", "string")
    assert set(table.column("known").to_pylist()) == {"fraud", "legitimate", "unknown"}
    rows = rows_of(analyst.get("/fraud/watch/events.csv"))
    assert table.column("event_id").to_pylist() == [row["event_id"] for row in rows]


def test_an_export_is_narrowed_down_as_its_page_is(analyst, judged) -> None:
    assert {row["event_id"] for row in rows_of(analyst.get("/fraud/watch/events.csv?outcome=review"))} == {
        "r0",
        "r1",
    }
    table = pq.read_table(io.BytesIO(content_of(analyst.get("/fraud/watch/events.parquet?known=fraud"))))
    assert set(table.column("event_id").to_pylist()) == {"r0", "a1"}


@pytest.mark.parametrize("listed", ["periods", "drift"])
@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_the_other_lists_too(analyst, judged, listed: str, form: str) -> None:
    content = content_of(analyst.get(f"/fraud/watch/{listed}.{form}"))
    if form == "parquet":
        assert pq.read_table(io.BytesIO(content)).num_rows == (7 if listed == "periods" else 0)
    else:
        assert content.decode().startswith("start,end,n" if listed == "periods" else "feature,psi,limit")
    assert analyst.get(f"/fraud/watch/nothing.{form}").status_code == 404


FORMULAS = [
    "=1+1", "+1", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "\n=1", " =1", "\x00=1", "\u00a0=1", "\uff1d1",
    "\ufeff=cmd|' /C calc'!A0",
]  # fmt: skip


@pytest.mark.parametrize("text", FORMULAS)
def test_no_text_begins_as_a_formula(text: str) -> None:
    assert harmless(text) == "'" + text


@pytest.mark.parametrize("text", ["", "m-1", "a=b", "1+1", "…0009", "'=1"])
def test_other_texts_are_left_alone(text: str) -> None:
    assert harmless(text) == text


def test_what_a_sender_may_send_is_harmless_in_the_file(analyst, post) -> None:
    assert post(event(merchant_id="=cmd()", terminal_id="@SUM(1)")).status_code == 202
    drain_all()
    [row] = rows_of(analyst.get("/fraud/watch/events.csv"))
    assert (row["merchant_id"], row["terminal_id"]) == ("'=cmd()", "'@SUM(1)")


def test_without_the_guard_the_file_would_run_it(analyst, post, monkeypatch) -> None:
    monkeypatch.setattr(exports, "harmless", lambda text: text)
    post(event(merchant_id="=cmd()"))
    drain_all()
    [row] = rows_of(analyst.get("/fraud/watch/events.csv"))
    assert row["merchant_id"] == "=cmd()"


def test_a_negative_number_stays_a_number(make_user) -> None:
    answer = export(
        "x", "csv", [Column("n", INTEGER, lambda row: row)], [-5], user=make_user("fraud_analyst"), detail={}
    )
    assert content_of(answer).decode().split() == ["n", "-5"]


def test_more_rows_than_are_given_out_are_refused_not_cut_off(analyst, judged, monkeypatch) -> None:
    monkeypatch.setattr(exports, "ROWS_MAX", 12)
    answer = analyst.get("/fraud/watch/events.csv")
    assert answer.status_code == 422
    assert "choose a shorter time" in answer.content.decode()
    assert not AuditEvent.objects.filter(action="events.exported").exists()
    assert len(rows_of(analyst.get("/fraud/watch/events.csv?outcome=review"))) == 2


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_a_long_list_is_written_as_it_is_read(make_user, monkeypatch, form: str) -> None:
    """Bytes leave before the last row is made, and what is held is a group at most."""
    monkeypatch.setattr(exports, "GROUP", 1000)
    made: list[int] = []

    def number(row: int) -> int:
        made.append(row)
        return row

    columns = [Column("n", INTEGER, number), Column("x", NUMBER, float), Column("t", TEXT, str)]
    columns.append(Column("at", TIME, lambda _: None))
    user = make_user("fraud_analyst")
    stream = iter(export("x", form, columns, range(30_000), user=user, detail={}).streaming_content)
    first = next(stream)
    assert first and len(made) < 15_000
    content = first + b"".join(stream)
    assert len(made) == 30_000
    if form == "parquet":
        assert pq.read_table(io.BytesIO(content)).column("n").to_pylist() == list(range(30_000))
    else:
        assert content.count(b"\n") == 30_001
