"""Every URL, every role, one's own thing and another site's: held to docs/permissions.md."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta

import pytest
from django.core.management import call_command
from django.db import transaction
from django.http import HttpResponse
from django.test import Client, override_settings
from django.urls import get_resolver, path
from django.urls.resolvers import RegexPattern, URLResolver

from apps.accounts.models import ApiClient, Role, Site, User
from apps.accounts.services import rotate_secret
from tests.behind_doors import Things, make_things
from tests.conftest import PASSWORD
from tests.doors import METHODS, ROLES, SIGN_IN, Row, address, doors, rows_of, table

pytestmark = pytest.mark.django_db

ROWS = table()
DOORS = list(doors(get_resolver()))
CLIENT = Client()  # one for all: each new one would build the middleware, and whitenoise's list, again
CLOSED = {"302", "401", "403", "404", "405", SIGN_IN}


@dataclass(frozen=True, slots=True)
class World:
    own: Things
    other: Things
    people: dict[str, User]
    tokens: dict[str, str]


@pytest.fixture(scope="module")
def world(django_db_setup, django_db_blocker, tmp_path_factory) -> Iterator[World]:
    """Made once for all doors: no test leaves anything of its own behind."""
    with override_settings(VAR_DIR=tmp_path_factory.mktemp("doors")), django_db_blocker.unblock():
        try:
            yield _made()
        finally:
            call_command("flush", interactive=False, verbosity=0)


def _made() -> World:
    site = Site.objects.create(slug="north", name="North")
    south = Site.objects.create(slug="south", name="South")
    tokens = {}
    for scope in ("radiology", "fraud"):
        client = ApiClient.objects.create(site=site, name=scope, scopes=[scope], source_slug=site.slug)
        tokens[scope] = rotate_secret(client)
    tokens["expired"] = "lyn_never-made"
    people = {role: _person(role, site) for role in Role.values}
    people["superuser"] = User.objects.create_superuser("super@example.org", PASSWORD, site=site)
    return World(make_things(site), make_things(south), people, tokens)


def _person(role: str, site: Site) -> User:
    return User.objects.create_user(f"{role}@example.org", PASSWORD, site=site, role=role)


def knock(method: str, url: str, user: User | None = None, token: str = "") -> str:
    """The status as the table writes it. Whatever the request changed is rolled back."""
    CLIENT.cookies.clear()
    headers = {"authorization": f"Bearer {token}"} if token else {}
    with transaction.atomic():
        if user is not None:
            CLIENT.force_login(user)
        answer = CLIENT.generic(method, url, headers=headers)
        if answer.streaming:
            list(answer.streaming_content)
        transaction.set_rollback(True)
    location = answer.headers.get("Location", "")
    return SIGN_IN if answer.status_code == 302 and "/login/?" in location else str(answer.status_code)


def mismatches(door: str, rows: list[Row], world: World) -> Iterator[str]:
    url = address(door, world.own)
    for row in rows:
        for method in row.methods:
            for who, got, wanted in _asked(row, method, url, address(door, world.other), world):
                if got != wanted:
                    yield f"{method} {door} as {who}: {got}, but the table says {wanted}"
    listed = {method for row in rows for method in row.methods}
    for method in METHODS:
        if method not in listed:
            insiders = {role for row in rows for role in ROLES if role in row.may} or {"operator"}
            for who in sorted(insiders):
                if (got := knock(method, url, world.people[who])) not in CLOSED:
                    yield f"{method} {door} as {who}: {got}, but the table knows no such method"
            if (got := knock(method, url)) not in CLOSED:
                yield f"{method} {door} as a stranger: {got}, but the table knows no such method"


def _asked(row: Row, method: str, url: str, other_url: str, world: World) -> Iterator[tuple[str, str, str]]:
    for role in ROLES:
        yield role, knock(method, url, world.people[role]), row.expects(role)
        inside = row.expects(role) == row.gets
        if row.other_site and inside and not (role == "superuser" and row.door.startswith("/admin/")):
            yield f"{role}, other site", knock(method, other_url, world.people[role]), row.other_site
    yield "a stranger", knock(method, url), row.stranger
    for scope, token in world.tokens.items():
        wanted = row.stranger
        if row.token:
            wanted = "401" if scope == "expired" else row.gets if scope == row.token else "403"
        yield f"a program with {scope}", knock(method, url, token=token), wanted
        if row.other_site and scope == row.token:
            yield "a program, other site", knock(method, other_url, token=token), row.other_site


@pytest.mark.parametrize("door", DOORS)
def test_a_door_opens_for_whom_the_table_says_and_for_nobody_else(door: str, world: World) -> None:
    rows = rows_of(door, ROWS)
    assert rows, f"{door} has no row in docs/permissions.md: that page says how to add one"
    assert list(mismatches(door, rows, world)) == []


def test_every_row_is_about_a_door_that_exists() -> None:
    used = {row.door for door in DOORS for row in rows_of(door, ROWS)}
    assert {row.door for row in ROWS} - used == set()


# Sabotage: what the test above must notice.


def test_a_door_without_a_row_is_noticed() -> None:
    forgotten = path("radiology/forgotten/", lambda request: HttpResponse("open to all"))
    resolver = URLResolver(RegexPattern(r"^/"), [*get_resolver().url_patterns, forgotten])
    assert [door for door in doors(resolver) if not rows_of(door, ROWS)] == ["/radiology/forgotten/"]


def test_a_wrong_cell_is_noticed(world: World) -> None:
    [row] = rows_of("/radiology/", ROWS)
    wrong = replace(row, may=frozenset({"radiologist", "auditor"}))
    assert [text.split(":")[0] for text in mismatches("/radiology/", [wrong], world)] == [
        "GET /radiology/ as auditor"
    ]


def test_a_read_that_forgets_the_site_is_noticed(world: World, monkeypatch) -> None:
    from apps.radiology.common import shortcuts
    from apps.radiology.models import Study

    monkeypatch.setattr(
        shortcuts, "study_for", lambda site, public_id: Study.objects.get(public_id=public_id)
    )
    door = "/radiology/studies/<uuid:public_id>/"
    assert [text.split(":")[0] for text in mismatches(door, rows_of(door, ROWS), world)] == [
        f"GET {door.split(':')[0]}"
    ]


def test_a_method_nobody_thought_of_is_noticed(world: World) -> None:
    rows = [replace(row, methods=("GET",)) for row in rows_of("/radiology/upload/", ROWS)[:1]]
    assert [text.split(":")[0] for text in mismatches("/radiology/upload/", rows, world)] == [
        "POST /radiology/upload/ as radiologist",
    ]


def test_an_expired_token_is_a_stranger(world: World) -> None:
    url = address("/api/v1/studies/<study_instance_uid>", world.own)
    assert knock("GET", url, token=world.own.token) == "200"
    world.own.client.secrets.update(expires_at=world.own.study.received_at - timedelta(days=1))
    assert knock("GET", url, token=world.own.token) == "401"
