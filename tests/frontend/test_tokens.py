"""The colours hold their contrast: WCAG 2.2 relative luminance, computed from the stylesheet itself."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

TOKENS = Path(__file__).resolve().parents[2] / "frontend/src/styles/tokens.css"
Colour = tuple[float, float, float]
TEXT = ("text", "muted", "accent", "ai", "critical", "attention", "good")
GROUNDS = ("bg", "surface", "raised")
CHIP_TINT = 0.10  # as in actions.css


def blocks() -> list[dict[str, Colour]]:
    """Each block of the stylesheet that sets the whole palette, as name -> linear-free sRGB in 0..1."""
    found = []
    for body in re.findall(r"\{([^{}]*--bg:[^{}]*)\}", TOKENS.read_text()):
        pairs = re.findall(r"--([a-z-]+):\s*#([0-9a-f]{6})", body)
        found.append({name: tuple(int(v[i : i + 2], 16) / 255 for i in (0, 2, 4)) for name, v in pairs})
    return found


def luminance(colour: Colour) -> float:
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: Colour, other: Colour) -> float:
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def mix(colour: Colour, ground: Colour, share: float) -> Colour:
    return tuple(share * a + (1 - share) * b for a, b in zip(colour, ground, strict=True))


def test_the_ruler_is_right() -> None:
    assert contrast((0, 0, 0), (1, 1, 1)) == pytest.approx(21)
    grey = (0x77 / 255,) * 3
    assert contrast(grey, (1, 1, 1)) == pytest.approx(4.48, abs=0.01)


def test_dark_comes_first_and_both_ways_to_light_agree() -> None:
    dark, by_system, by_choice = blocks()
    assert luminance(dark["bg"]) < 0.05 < luminance(by_system["bg"])
    assert by_system == by_choice


@pytest.mark.parametrize("name", TEXT)
def test_text_is_readable_on_every_ground(name: str) -> None:
    for palette in blocks():
        for ground in GROUNDS:
            assert contrast(palette[name], palette[ground]) >= 4.5, ground


@pytest.mark.parametrize("name", ("muted", "ai", "critical", "attention", "good"))
def test_a_chip_is_readable_on_its_own_tint(name: str) -> None:
    for palette in blocks():
        tinted = mix(palette[name], palette["surface"], CHIP_TINT)
        assert contrast(palette[name], tinted) >= 4.5


def test_controls_and_the_focus_ring_stand_out() -> None:
    for palette in blocks():
        assert contrast(palette["on-accent"], palette["accent"]) >= 4.5
        for ground in GROUNDS:
            assert contrast(palette["control"], palette[ground]) >= 3
            assert contrast(palette["accent"], palette[ground]) >= 3
