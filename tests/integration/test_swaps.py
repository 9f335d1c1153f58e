"""Versions take turns while requests come: none fails, and each names the version that computed it."""

from __future__ import annotations

import subprocess
import sys
from contextlib import ExitStack

import httpx

from benchmarks.swap_traffic import Decisions, Door, Transactions
from benchmarks.swap_under_load import swapped
from tests.integration.apart import Apart
from tests.integration.running import ROOT, eventually

SWAPS = 4  # an even number: what served at first serves again
RATE = 8.0  # requests a second
# Loads as slowly as the other two, whose guards are gone.
HONEST, MISNAMED, LET_GO = "loads_slowly", "names_what_answered", "keeps_the_one_before"


def decisions(apart: Apart, prefix: str) -> Decisions:
    """Patiently: a busy machine is not what is asked here. Only who lets go first must not wait it out."""
    patience = "300" if prefix == LET_GO else "2000"
    token, source = apart.demo.facts["api_token"], apart.demo.facts["webhook"]["source"]
    headers = {"Authorization": f"Bearer {token}", "lynceus-source": source, "lynceus-deadline-ms": patience}
    return Decisions(prefix, headers)


def ready(url: str) -> bool:
    return httpx.get(f"{url}/readyz").status_code == 200


def test_while_versions_take_turns_each_answer_is_of_the_version_it_names(apart: Apart) -> None:
    environment = {**apart.demo.environment, "LYNCEUS_DEMO": "1"}
    subprocess.run([sys.executable, "-m", "tests.integration.sibling"], cwd=ROOT, env=environment, check=True)
    webhook = apart.demo.facts["webhook"]
    doors: dict[str, tuple[Door, float]] = {
        "own": (decisions(apart, "own"), RATE),
        "webhook": (Transactions("webhook", webhook["source"], webhook["secret"], events=5), RATE / 5),
        **{name: (decisions(apart, name), RATE) for name in (HONEST, MISNAMED, LET_GO)},
    }
    with ExitStack() as stack:
        own = apart.demo.facts["base_url"]
        url = {"own": own, "webhook": own}
        url |= {name: stack.enter_context(apart.web(name)) for name in (HONEST, MISNAMED, LET_GO)}
        for name in (HONEST, MISNAMED, LET_GO):
            eventually(lambda name=name: ready(url[name]), of="a model in service")
        rows = swapped(environment, apart.postgres.url, url, "fraud", doors, SWAPS)
    found = {row["door"]: row for row in rows}
    for name in ("own", "webhook", HONEST):
        row = found[name]
        assert (row["failed"], row["unanswered"], row["wrong"], row["seen"]) == (0, 0, 0, SWAPS), row
        assert row["told_apart"] > 0.9 * row["replayed"] > 0, row
    # Sabotage: named apart from the predictor, an answer names one version and was computed by another.
    assert found[MISNAMED]["wrong"] > 0, found[MISNAMED]
    # And without the one before nobody answers while the next one is loaded; what little the others decided
    # by rules, a busy machine had no time for.
    by_rules = {name: found[name]["without_model"] for name in (HONEST, LET_GO)}
    assert by_rules[LET_GO] > 5 * by_rules[HONEST], by_rules
