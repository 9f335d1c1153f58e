"""Statements of the hot path: one round trip for many, the database's own errors, nothing half begun."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from django.db import DataError, IntegrityError, OperationalError, ProgrammingError, connection, transaction

from apps.accounts.models import Site
from apps.core.sql import ON_POSTGRES, insert, new_ids, one_of, round_trip, run, texts
from apps.fraud.models import FxRate

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.decision]


def rates(*days: int, rate: str = "1.25") -> list[FxRate]:
    return [FxRate(currency="USD", date=datetime(2026, 1, day, tzinfo=UTC).date(), rate=rate) for day in days]


def test_answers_are_there_after_the_round_trip_in_the_order_of_the_questions(site) -> None:
    with round_trip():
        one = run("SELECT %s", ["1"])
        with round_trip():
            insert(rates(1, 2))
        two = run("SELECT count(*) FROM fraud_fxrate")
        assert not (ON_POSTGRES and hasattr(two, "rows"))
    assert one.fetchall() == [("1",)]
    assert two.fetchall() == [(2,)]


def test_one_of_and_texts_take_any_number() -> None:
    for values in ([], ["a"], ["a", 'b"', "c'", "\u00e9"]):
        given, parameter = texts(values)
        among, wanted = one_of(values)
        found = run(f"SELECT value FROM {given} WHERE value {among}", [parameter, wanted]).fetchall()
        assert [value for (value,) in found] == values


def test_new_ids_are_nobody_elses(site) -> None:
    insert(rates(1))
    ids = [pk for (pk,) in new_ids(FxRate, 3).fetchall()]
    rows = rates(2, 3, 4)
    for pk, row in zip(ids, rows, strict=True):
        row.pk = pk
    insert(rows)
    insert(rates(5))
    assert FxRate.objects.count() == 5
    assert sorted(ids) == ids and FxRate.objects.latest("pk").pk > ids[-1]


def test_what_goes_in_comes_out(site) -> None:
    other = Site(slug="zo\u00eb", name='quote " and \\ and \u2028')
    insert([other], rates(7, rate="0.000000000001"))
    assert Site.objects.get(slug="zo\u00eb").name == other.name
    assert FxRate.objects.get().rate == Decimal("0.000000000001")


@pytest.mark.parametrize(
    ("statement", "error"),
    [("SELECT 1 FROM nowhere", ProgrammingError), ("SELECT 1 / (SELECT 0)", DataError)],
)
def test_an_error_is_the_databases_own_and_takes_the_whole_trip_with_it(site, statement, error) -> None:
    if not ON_POSTGRES:
        error, statement = OperationalError, "SELECT 1 FROM nowhere"
    for _ in range(2):  # the second time everything is prepared, or not, as the first left it
        with pytest.raises(error), transaction.atomic(), round_trip():
            insert(rates(1))
            run(statement)
            insert(rates(2))
        assert run("SELECT count(*) FROM fraud_fxrate").fetchall() == [(0,)]
    with transaction.atomic(), round_trip():
        insert(rates(1), [Site(slug="one-more", name="One more")])
    assert FxRate.objects.count() == 1


def test_a_key_taken_is_an_integrity_error(site) -> None:
    insert(rates(1))
    with pytest.raises(IntegrityError), transaction.atomic():
        insert(rates(1))
    assert FxRate.objects.count() == 1


def test_nothing_is_sent_of_a_trip_that_was_broken_off(site) -> None:
    with pytest.raises(ZeroDivisionError), transaction.atomic(), round_trip():
        if ON_POSTGRES:
            insert(rates(1))
        raise ZeroDivisionError
    assert not FxRate.objects.exists()


def test_an_atomic_block_that_fails_takes_it_back(site) -> None:
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        insert(rates(1))
        raise ZeroDivisionError
    assert not FxRate.objects.exists()


def test_a_connection_the_server_ended_is_an_operational_error_and_then_a_new_one() -> None:
    if not ON_POSTGRES:
        return
    run("SELECT 1")
    own = connection.connection.info.backend_pid
    other = connection.copy()
    with other.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s)", [own])
    other.close()
    with pytest.raises(OperationalError):
        run("SELECT 1")
    connection.close_if_unusable_or_obsolete()
    assert run("SELECT 1").fetchall() == [(1,)]


def test_what_a_field_cannot_be_is_refused_before_it_is_sent() -> None:
    bad = FxRate(currency="USD", date=datetime(2026, 1, 1, tzinfo=UTC).date(), rate=object())
    if ON_POSTGRES:
        with pytest.raises(TypeError):
            insert([bad])
    assert not FxRate.objects.exists()
