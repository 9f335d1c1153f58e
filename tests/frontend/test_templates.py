"""What the Content-Security-Policy would refuse is refused here first."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from django.template.loader import render_to_string
from django.test import Client

TEMPLATES = Path(__file__).resolve().parents[2] / "templates"
INLINE = re.compile(r"\sstyle\s*=|<style\b|\son[a-z]+\s*=\s*[\"']|<script(?![^>]*\bsrc=)|javascript:", re.I)


def test_no_template_holds_inline_style_or_script() -> None:
    found = {
        str(path.relative_to(TEMPLATES)): INLINE.findall(path.read_text())
        for path in TEMPLATES.rglob("*.html")
    }
    assert found
    assert {name: hits for name, hits in found.items() if hits} == {}


@pytest.mark.parametrize(
    "bad", ['<p style="x">', "<style>", "<a onclick='x'>", "<script>1</script>", '<a href="javascript:1">']
)
def test_the_check_above_would_notice(bad: str) -> None:
    assert INLINE.search(bad)


def test_every_icon_that_is_named_is_drawn() -> None:
    sprite = (TEMPLATES.parent / "frontend/static/icons.svg").read_text()
    drawn = set(re.findall(r'<symbol id="([a-z]+)"', sprite))
    named = {
        name
        for path in TEMPLATES.rglob("*.html")
        for name in re.findall(r'components/icon.html" with name="([a-z]+)"', path.read_text())
    }
    assert named
    assert named <= drawn


def test_a_probability_is_never_drawn_without_its_operating_point() -> None:
    html = render_to_string(
        "components/probability.html",
        {"label": "Effusion", "probability": 0.83, "operating_point": 0.41, "positive": True},
    )
    assert "0.83" in html
    assert "operates at 0.41" in html
    assert 'width="0.83"' in html
    assert "%" not in html


def test_reasons_add_up_from_base_to_score() -> None:
    reasons = [{"text": "unusual amount", "contribution": 2.0}, {"text": "home country", "weight": -0.5}]
    html = render_to_string("components/reasons.html", {"reasons": reasons, "base": -3.0, "total": -1.5})
    bars = re.findall(r'class="(up|down|sum)"\s+x="([-\d.]+)"\s+y="2"\s+width="([\d.]+)"', html)
    assert [(tone, float(x), float(width)) for tone, x, width in bars] == [
        ("sum", -3.0, 3.0),
        ("up", -3.0, 2.0),
        ("down", -1.5, 0.5),
        ("sum", -1.5, 1.5),
    ]


def test_a_reason_may_lead_somewhere_and_say_when() -> None:
    linked = {
        "text": "<412 EUR>",
        "weight": 0.2,
        "href": "/there/",
        "at": datetime(2026, 3, 1, 12, tzinfo=UTC),
    }
    html = render_to_string("components/reasons.html", {"reasons": [linked, {"text": "b", "weight": 1.0}]})
    assert html.count('<a href="/there/">&lt;412 EUR&gt;</a>') == html.count("<a ") == 1
    assert html.count("<time ") == 1


def test_reasons_without_a_base_start_from_zero() -> None:
    html = render_to_string("components/reasons.html", {"reasons": [{"text": "a", "weight": 1.0}]})
    assert 'x="0.0"' in html
    assert "base rate" not in html


def test_the_theme_chosen_is_in_the_first_byte(client: Client, db: None) -> None:
    assert b"data-theme" not in client.get("/accounts/login/").content
    client.cookies["theme"] = "light"
    assert b'data-theme="light"' in client.get("/accounts/login/").content
    client.cookies["theme"] = '"><script>'
    assert b"data-theme" not in client.get("/accounts/login/").content
