"""Version 1 of every site's rules. Never changed: decisions name it, so a better set is a new version.

The limits are deliberately wide: finer judgement is the model's.
"""

from __future__ import annotations

NUMBER = 1
RULES = [
    {
        "code": "rule_large_amount",
        "when": "amount_minor >= 2500000",
        "action": "decline",
        "text": "The amount reaches the limit of {baseline}.",
        "value": "amount_minor",
        "baseline": "2500000",
        "shadow": False,
    },
    {
        "code": "rule_large_amount",
        "when": "amount_minor >= 250000 and amount_minor < 2500000",
        "action": "review",
        "text": "The amount reaches the limit of {baseline}.",
        "value": "amount_minor",
        "baseline": "250000",
        "shadow": False,
    },
    {
        "code": "rule_burst",
        "when": "card_count_10min >= 15",
        "action": "decline",
        "text": "{value} transactions with this card within ten minutes.",
        "value": "card_count_10min",
        "baseline": "15",
        "shadow": False,
    },
    {
        "code": "rule_burst",
        "when": "card_count_10min >= 8 and card_count_10min < 15",
        "action": "review",
        "text": "{value} transactions with this card within ten minutes.",
        "value": "card_count_10min",
        "baseline": "8",
        "shadow": False,
    },
    {
        "code": "rule_two_countries",
        "when": 'other_country_1h != ""',
        "action": "review",
        "text": "The card was present in {value} and in {baseline} within one hour.",
        "value": "country",
        "baseline": "other_country_1h",
        "shadow": False,
    },
]
