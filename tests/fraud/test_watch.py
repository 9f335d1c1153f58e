"""The overview: what is decided and how well, from the hourly counts; the events behind a point."""

from __future__ import annotations

import html
import re
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from apps.accounts.models import Site, User
from apps.audit.models import AuditEvent
from apps.core.clock import now
from apps.fraud.models import Decision, Disposition, FraudLabel, HourlyCount, Mode, Outcome
from apps.fraud.settle.services.dispositions import Said, dispose_again
from apps.fraud.watch import watch, watch_now
from apps.fraud.watch.events import Chosen, cursor_of, events_of
from apps.fraud.watch.services import counts
from apps.fraud.watch.watch import Period, costs_at, saved_by_bucket, tallies, whole, worth
from tests.fraud.conftest import drain_all, event
from tests.fraud.test_counts import CANNOT_TELL, FRAUD, LEGITIMATE, REVIEWED, label_all, say, settle
from tests.fraud.test_counts import decided as decided


@pytest.fixture
def analyst(client: Client, make_user) -> Client:
    watch_now._moment.cache_clear()
    client.force_login(make_user("fraud_analyst"))
    return client


@pytest.fixture
def judged(decided, source) -> None:
    """Of what was decided: a declined good customer, two frauds an analyst found, one that got away."""
    say(source, "d0", fraud=False)
    say(source, "r0", fraud=True, by="analyst")
    say(source, "r1", fraud=False, by="analyst")
    say(source, "a1", fraud=True)
    counts.count_due()


def text_of(answer: Any) -> str:
    text = html.unescape(answer.content.decode()).replace("\N{EN DASH}", "-")
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", text))


def test_it_works(analyst, judged) -> None:
    said = text_of(analyst.get("/fraud/watch/"))
    assert "Alert rate 23.1%" in said
    assert "3 alerts of 13 decisions" in said
    assert "Precision of the last dispositions 50.0% 9.5% to 90.5%" in said
    assert "False positives for each fraud found 1.0" in said
    assert "1 fraud of 2" in said
    assert "Payments of good customers declined 1 - 30,000.00 EUR; known of 1 of 1 decline" in said
    assert "Money saved 2,700.00 EUR" in said  # nine tenths of what the review stopped
    assert "Late events 1" in said


def precision(analyst: Client) -> str:
    counts.count_due()
    said = text_of(analyst.get("/fraud/watch/"))
    return re.sub(r".*Precision of the last dispositions ([^ ]+ ?known|[0-9.]+%).*", r"\1", said)


def test_the_last_disposition_of_an_alert_counts_in_precision(analyst, decided, source) -> None:
    """At once, and whatever was said of it before; what nobody is sure of never counts."""
    settle("r0", FRAUD)
    settle("r1", LEGITIMATE)
    assert precision(analyst) == "50.0%"
    again("r1", FRAUD)
    assert precision(analyst) == "100.0%"
    again("r1", CANNOT_TELL)
    again("r0", CANNOT_TELL)
    assert precision(analyst) == "not known"


def test_a_label_from_before_does_not_outlast_cannot_tell(analyst, decided) -> None:
    """An analyst's label of old, without a disposition, and then a disposition that nobody could tell."""
    row = Decision.objects.get(transaction__event_id="r0").transaction
    FraudLabel.objects.create(
        transaction=row, fraud=True, source="analyst", known_at=now(), received_at=now()
    )
    settle("r0", CANNOT_TELL)
    assert precision(analyst) == "not known"


def test_without_asking_for_the_last_one_a_changed_mind_would_count_twice(
    analyst, decided, monkeypatch
) -> None:
    """Sabotage: every disposition that became a label, not the last of each alert."""
    settle("r0", FRAUD)
    label_all()
    again("r0", LEGITIMATE)
    assert precision(analyst) == "0.0%"
    monkeypatch.setattr(watch, "last_verdicts", Disposition.alerts.through.objects.all)
    assert precision(analyst) == "50.0%"


def again(event_id: str, said: Said) -> None:
    before = Disposition.objects.filter(alerts__decision__transaction__event_id=event_id).latest("pk")
    dispose_again(before, said, before.by)


def test_value_detected_is_the_share_of_the_money_of_known_fraud_that_raised_an_alert(judged, site) -> None:
    shown = tallies(site, Period(7))
    found = worth(shown, costs_at(site))
    assert found.fraud_minor == REVIEWED + 1250
    assert found.detected.value == pytest.approx(REVIEWED / (REVIEWED + 1250))


def test_what_nobody_spoke_of_stays_unknown_and_the_page_says_how_much_that_is(analyst, decided) -> None:
    counts.count_due()
    said = text_of(analyst.get("/fraud/watch/"))
    assert "Declined, and unknown what it was 100.0% - 1 of 1 decline" in said
    assert "Value detection rate not known" in said
    assert "Precision of the last dispositions not known" in said
    assert "Payments of good customers declined 0 - 0.00 EUR; known of 0 of 1 decline" in said


def test_degraded_decisions_are_loud(analyst, decided) -> None:
    counts.count_due()
    page = analyst.get("/fraud/watch/")
    assert "13 of 13 decisions in the last minute by rules alone: no model is in service." in text_of(page)
    assert 'class="note critical"' in page.content.decode()
    assert "mode=rules_only" in page.content.decode()


def test_with_a_model_and_history_nothing_is_loud(analyst, champion, post) -> None:
    post(event())
    drain_all()
    counts.count_due()
    assert "Decided with less" not in analyst.get("/fraud/watch/").content.decode()


def test_the_strip_of_this_moment(analyst, post) -> None:
    post([event("e1"), event("e2", card_token="another")])
    said = text_of(analyst.get("/fraud/watch/now/"))
    assert "Waiting 2" in said and "nothing decided in the last minute" in said
    drain_all()
    watch_now._moment.cache_clear()
    answer = analyst.get("/fraud/watch/now/")
    assert "nothing waits" in text_of(answer) and "99 % within" in text_of(answer)
    assert answer["Cache-Control"] == "no-store"


def test_an_empty_site_says_what_comes(analyst) -> None:
    said = text_of(analyst.get("/fraud/watch/"))
    assert "Nothing was decided in this time" in said
    assert "No model is in service." in said


def test_looking_costs_the_same_however_much_was_decided(analyst, judged, post) -> None:
    with CaptureQueriesContext(
        connection,
    ) as few:
        analyst.get("/fraud/watch/?days=90")
    post([event(f"more{n}", card_token=f"more{n}") for n in range(60)])
    drain_all()
    watch_now._moment.cache_clear()
    with CaptureQueriesContext(connection) as many:
        analyst.get("/fraud/watch/?days=90")
    assert len(many) <= len(few)
    tables = "".join(one["sql"] for one in many if "fraud_decision" in one["sql"])
    assert "decided_at" in tables  # the last minute, and nothing older, is looked at directly
    assert not re.search(r"SUM\([^)]*fraud_(transaction|decision)", tables)


def hours_of(site: Site, **changes: Any) -> HourlyCount:
    given = {"site": site, "outcome": "decline", "mode": "full", "n": 10, "amount_minor": 1000, "alerts": 10,
             "deadline_hits": 0, "late": 0, "too_old": 0, "frauds": 2, "fraud_minor": 500}  # fmt: skip
    return HourlyCount.objects.create(**(given | changes))


def test_days_are_the_sites_own(analyst, site) -> None:
    """An hour before midnight in Tokyo is another day than one after, wherever the installation is."""
    Site.objects.update(time_zone="Asia/Tokyo")
    midnight = (now() - timedelta(days=2)).replace(hour=15, minute=0, second=0, microsecond=0)
    for hour in (midnight - timedelta(hours=1), midnight, midnight + timedelta(hours=1)):
        hours_of(site, hour=hour)
    points = analyst.get("/fraud/watch/charts/volume.json").json()["series"][0]["points"]
    assert [round(value * 86400) for _, value in points if value] == [10, 20]
    assert {at[11:] for at, _ in points} == {"00:00:00+09:00"}


def test_money_saved_has_an_interval_by_day_and_as_a_whole(analyst, site) -> None:
    first = (now() - timedelta(days=6)).replace(hour=0, minute=0, second=0, microsecond=0)
    for number in range(6 * 24):
        hours_of(site, hour=first + timedelta(hours=number), fraud_minor=number % 5 * 1000)
    shown = tallies(site, Period(7))
    days = [one for one in saved_by_bucket(site, shown, costs_at(site)) if one.value]
    told = [one for one in days if one.low is not None]
    assert len(days) in (6, 7) and len(told) >= 5
    assert all(one.low < one.value < one.high for one in told)
    total = worth(shown, costs_at(site)).saved_minor
    assert total.low < total.value == sum(one.value for one in days) < total.high
    drawn = analyst.get("/fraud/watch/charts/saved.json").json()["series"][0]
    assert len(drawn["band"]) == len(told)
    assert len(drawn["points"]) == len(drawn["links"]) == len(days)


@pytest.mark.parametrize("name", ["volume", "kinds", "latency", "saved", "found", "drift"])
@pytest.mark.parametrize("days", ["1", "", "90"])
def test_every_chart_draws_and_every_point_leads_to_its_events(analyst, judged, name: str, days: str) -> None:
    drawn = analyst.get(f"/fraud/watch/charts/{name}.json?days={days}").json()
    assert set(drawn) == {"x", "y", "series", "lines", "done"}
    for series in drawn["series"]:
        assert len(series["points"]) == len(series.get("links", series["points"]))
    if name == "kinds":
        [_, value] = drawn["series"][1]["points"][-1]
        assert value == pytest.approx(100 / 13, abs=0.001)
        page = analyst.get(drawn["series"][1]["links"][-1]).content.decode()
        assert page.count('<tr data-id="') == 1 and "30,000.00 EUR" in page
    assert analyst.get("/fraud/watch/charts/other.json").status_code == 404


def test_the_numbers_of_a_day_lead_to_its_events(analyst, judged) -> None:
    page = analyst.get("/fraud/watch/").content.decode()
    rows = page[page.index("numbers lead to the events") :]
    links = [html.unescape(link) for link in re.findall(r'href="(/fraud/watch/events/[^"]+)"', rows)]
    found = [analyst.get(link).content.decode().count('<tr data-id="') for link in links]
    assert found == [13, 2, 1, 13, 1, 0]  # all, reviewed, declined, degraded, good declined, declined unknown


def test_the_list_is_narrowed_down_and_audited(analyst, judged) -> None:
    def rows(**query: str) -> int:
        return analyst.get("/fraud/watch/events/", query).content.decode().count('<tr data-id="')

    assert (rows(), rows(outcome="review"), rows(mode="full"), rows(source="acquirer")) == (13, 2, 0, 13)
    assert (rows(known="fraud"), rows(known="legitimate"), rows(known="unknown")) == (2, 2, 9)
    assert (
        rows(since=(now() - timedelta(days=9)).isoformat(), until=(now() - timedelta(days=8)).isoformat())
        == 0
    )
    assert rows(outcome="'", since="x", until="9999-99-99", known="--") == 13
    assert AuditEvent.objects.filter(action="events.viewed").count() == 9
    page = analyst.get("/fraud/watch/events/").content.decode()
    assert "card-a1" not in page and "card …" in page


def test_the_list_goes_on_by_key_and_shows_each_once(analyst, site, post) -> None:
    for start in range(0, 120, 40):
        post([event(f"e{n}", card_token=f"c{n}") for n in range(start, start + 40)])
        drain_all()
    seen, address = [], "/fraud/watch/events/"
    for _ in range(3):
        page = analyst.get(address).content.decode()
        seen += re.findall(r'<tr data-id="([^"]+)"', page)
        found = re.search(r'rel="next"\s+href="([^"]+)"', page)
        address = "/fraud/watch/events/" + html.unescape(found[1]) if found else ""
    assert address == "" and len(seen) == len(set(seen)) == 120
    at = {str(row.public_id): (row.decided_at, row.pk) for row in Decision.objects.all()}
    assert [at[one] for one in seen] == sorted(at.values(), reverse=True)


def test_a_cursor_of_nobodys_is_refused_in_words(analyst, decided) -> None:
    for cursor in ("x", "AAAA", "MS4y.", "a" * 500, "LTEuLTE"):
        assert analyst.get("/fraud/watch/events/", {"after": cursor}).status_code == 422, cursor
    assert cursor_of(Decision.objects.first()).isascii()


def test_another_sites_are_never_among_them(analyst, judged, client) -> None:
    south = Site.objects.create(slug="south", name="South")
    client.force_login(User.objects.create_user("s@example.org", site=south, role="fraud_analyst"))
    assert "Nothing was decided" in text_of(client.get("/fraud/watch/"))
    assert "Nothing fits these filters" in text_of(client.get("/fraud/watch/events/"))
    assert client.get("/fraud/watch/charts/volume.json").json()["series"] == []


def test_drift_is_told_feature_by_feature_with_its_limit(analyst, champion, post, monkeypatch) -> None:
    from apps.fraud.watch import drift

    monkeypatch.setattr(drift, "ENOUGH", 5)
    post([event(f"e{n}", card_token=f"card-{n}", amount_minor=240_000) for n in range(8)])
    drain_all()
    counts.count_due()
    found = drift.drift_at(champion.dataset.site)
    assert (found.version, found.n, found.rows[0].name) == (1, 8, "score")
    assert "amount_log" in {row.name for row in found.drifted}
    said = text_of(analyst.get("/fraud/watch/"))
    assert "lie beyond what one in a hundred reaches without drift" in said
    assert "8 payments of 24 hours, against the validation days of version 1" in said


def test_few_payments_say_nothing_of_drift(analyst, champion, post) -> None:
    post(event())
    drain_all()
    counts.count_due()
    assert "Fewer than 200 payments in 24 hours say nothing yet." in text_of(analyst.get("/fraud/watch/"))


def test_a_tally_adds_up(judged, site) -> None:
    total = whole(tallies(site, Period(1)))
    assert total.n == sum(total.by_outcome.values()) == sum(total.by_mode.values()) == 13
    assert total.by_mode[Mode.RULES_ONLY] == 13 == total.degraded
    assert total.declined["n"] == total.by_outcome[Outcome.DECLINE] == 1
    assert (total.censored, total.precision) == (0, 0.5)
    assert 0 < total.percentile_ms(0.5) <= total.percentile_ms(0.99)


def test_rare_events_are_found_by_their_own_index(site, judged) -> None:
    if connection.vendor != "postgresql":
        return
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off")
        for narrowed, index in (
            ({"outcome": "decline"}, "decided_not_approved"),
            ({"mode": "no_state"}, "decided_degraded"),
        ):
            chosen = Chosen(now() - timedelta(days=9), now(), **narrowed)
            assert index in events_of(site, chosen)[:50].explain()
