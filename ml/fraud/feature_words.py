"""What each feature is, in a line: for whoever writes a condition over it."""

from __future__ import annotations

from ml.fraud.features import FEATURE_NAMES, STATISTICS
from ml.fraud.windows import SPANS

_SPAN = {
    "1h": "this hour and the last",
    "24h": "the last 24 hours",
    "7d": "the last 7 days",
    "30d": "the last 30 days",
}
_OF_CARD = {
    "count": "this card's payments in {}", "sum": "what this card spent in {}, logarithm",
    "mean": "mean amount of this card in {} against its typical one, logarithm",
    "max": "largest amount of this card in {} against its typical one, logarithm",
    "distinct": "about how many terminals this card was at in {}",
}  # fmt: skip
_OF_PLACE = {
    "count": "payments {} in {}", "sum": "what was spent {} in {}, logarithm",
    "mean": "mean amount {} in {}, logarithm", "max": "largest amount {} in {}, logarithm",
    "distinct": "about how many cards {} in {}",
}  # fmt: skip
_PLACES = {"terminal": "at this terminal", "merchant": "at this merchant", "device": "on this device"}

_WORDS = {
    "amount_log": "amount, logarithm of whole units",
    "amount_z": "how many of the card's deviations the amount lies above its mean, in logarithms",
    "amount_over_usual": "amount against the card's typical one, logarithm of the ratio",
    "amount_deviation": "how many of the card's deviations the amount lies above its typical one",
    "amount_over_max": "amount against the card's largest so far, logarithm of the ratio",
    "amount_over_mean_30d": "amount against the card's mean of 30 days, logarithm of the ratio",
    "since_last_log": "seconds since the card's last payment, logarithm; -1 for its first",
    "card_small_1h": "tiny amounts of this card in this hour and the last",
    "card_unusual_24h": "amounts far above the card's usual, this day and the last",
    "card_unusual_7d": "amounts far above the card's usual in 7 days",
    "card_unusual_14d": "amounts far above the card's usual in 14 days",
    "since_unusual_days": "days since the card's last unusual amount, 60 at most",
    "card_surprise": "how surprising the card's last payments were, fading over a week",
    "card_history": "how many payments of this card are known, logarithm",
    "new_terminal": "1 where the card was never at this terminal",
    "new_merchant": "1 where the card was never at this merchant",
    "new_device": "1 where the card was never used from this device",
    "new_country": "1 where the card was never in this country",
    "country_changed": "1 where the card's last payment was in another country",
    "entry_changed": "1 where the card's last payment was entered otherwise",
    "distance_log": "kilometres from the card's last place, logarithm",
    "speed_log": "km/h needed from the card's last place, logarithm",
    "hour_sin": "sine of the time of day",
    "hour_cos": "cosine of the time of day",
    "night": "1 from midnight to six",
    "weekend": "1 on Saturday and Sunday",
    "entry_magstripe": "1 where the stripe was read",
    "entry_manual": "1 where the number was keyed in",
    "entry_online": "1 online and on file",
    "terminal_history": "how many payments at this terminal are known, logarithm",
    "amount_over_terminal": "amount against the terminal's mean, logarithm of the ratio",
    "terminal_bad_14d": "known frauds at this terminal in 14 days",
    "terminal_bad_30d": "known frauds at this terminal in 30 days",
    "terminal_plain_30d": "known frauds of an amount usual for their card at this terminal in 30 days",
    "terminal_risk_14d": "share of frauds among known payments at this terminal in 14 days",
    "terminal_risk_30d": "share of frauds among known payments at this terminal in 30 days",
    "terminal_run": "known frauds in a row at this terminal",
    "terminal_run_lone": "those of the run that nothing about their card explains",
    "terminal_run_least": "smallest of the run against its card's usual amount, logarithm of the ratio",
    "terminal_run_days": "days since the run's first payment, 60 at most",
    "terminal_run_days_most": "days since the last known good payment before the run, 60 at most",
    "terminal_since_bad_days": "days since the last known fraud at this terminal, 60 at most",
    "terminal_good_since_bad": "known good payments at this terminal since its last fraud, 30 at most",
    "card_bad_30d": "known frauds of this card in 30 days",
    "card_since_bad_days": "days since the last known fraud of this card, 60 at most",
}


def _windows() -> dict[str, str]:
    found = {}
    for statistic in STATISTICS:
        for span in SPANS:
            found[f"card_{statistic}_{span}"] = _OF_CARD[statistic].format(_SPAN[span])
            for place, where in _PLACES.items():
                found[f"{place}_{statistic}_{span}"] = _OF_PLACE[statistic].format(where, _SPAN[span])
    return found


MEANINGS = {name: {**_windows(), **_WORDS}[name] for name in FEATURE_NAMES}
