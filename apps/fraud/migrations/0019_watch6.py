"""Decisions added up by the hour, and indexes for what is seldom: the release before can go on beside it."""

import django.db.models.deletion
from django.db import migrations, models

OUTCOMES = [("approve", "Approve"), ("review", "Review"), ("decline", "Decline")]
MODES = [
    ("full", "model and rules"),
    ("no_state", "model without the card's history"),
    ("rules_only", "rules alone"),
]


def site():
    return models.ForeignKey(
        db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name="+", to="accounts.site"
    )


def key():
    return models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0003_names"),
        ("fraud", "0017_work"),
    ]

    operations = [
        migrations.CreateModel(
            name="CountedHour",
            fields=[
                ("start", models.DateTimeField(primary_key=True, serialize=False)),
                ("counted_at", models.DateTimeField(null=True)),
                ("due_at", models.DateTimeField(null=True)),
            ],
            options={
                "indexes": [
                    models.Index(
                        condition=models.Q(("due_at", None), _negated=True), fields=["-start"], name="hour_to_count"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="CountMark",
            fields=[
                ("id", key()),
                ("label_id", models.BigIntegerField(default=0)),
                ("alert_id", models.BigIntegerField(default=0)),
            ],
        ),
        migrations.CreateModel(
            name="HourlyCount",
            fields=[
                ("id", key()),
                ("hour", models.DateTimeField()),
                ("outcome", models.CharField(choices=OUTCOMES, max_length=7)),
                ("mode", models.CharField(choices=MODES, max_length=10)),
                ("n", models.PositiveBigIntegerField()),
                ("amount_minor", models.BigIntegerField()),
                ("alerts", models.PositiveBigIntegerField()),
                ("deadline_hits", models.PositiveBigIntegerField()),
                ("late", models.PositiveBigIntegerField()),
                ("too_old", models.PositiveBigIntegerField()),
                ("frauds", models.PositiveBigIntegerField(default=0)),
                ("fraud_minor", models.BigIntegerField(default=0)),
                ("frauds_alerted", models.PositiveBigIntegerField(default=0)),
                ("fraud_alerted_minor", models.BigIntegerField(default=0)),
                ("goods", models.PositiveBigIntegerField(default=0)),
                ("good_minor", models.BigIntegerField(default=0)),
                ("disposed_frauds", models.PositiveBigIntegerField(default=0)),
                ("disposed_goods", models.PositiveBigIntegerField(default=0)),
                ("site", site()),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("hour", "site", "outcome", "mode"), name="counted_once"),
                    models.CheckConstraint(
                        condition=models.Q(("outcome__in", ["approve", "review", "decline"])),
                        name="counted_outcome_known",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("mode__in", ["full", "no_state", "rules_only"])),
                        name="counted_mode_known",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="HourlyLatency",
            fields=[
                ("id", key()),
                ("hour", models.DateTimeField()),
                ("counts", models.JSONField()),
                ("site", site()),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("hour", "site"), name="latency_counted_once")
                ],
            },
        ),
        migrations.CreateModel(
            name="HourlyDrift",
            fields=[
                ("id", key()),
                ("hour", models.DateTimeField()),
                ("artefact_hash", models.CharField(max_length=64)),
                ("n", models.PositiveIntegerField()),
                ("counts", models.BinaryField()),
                ("site", site()),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        fields=("hour", "site", "artefact_hash"), name="drift_counted_once"
                    )
                ],
            },
        ),
        migrations.AddIndex(
            model_name="decision",
            index=models.Index(
                condition=models.Q(("outcome__in", ["review", "decline"])),
                fields=["-decided_at", "-id"],
                name="decided_not_approved",
            ),
        ),
        migrations.AddIndex(
            model_name="decision",
            index=models.Index(
                condition=models.Q(("mode__in", ["no_state", "rules_only"])),
                fields=["-decided_at", "-id"],
                name="decided_degraded",
            ),
        ),
        migrations.AddIndex(
            model_name="fraudlabel",
            index=models.Index(
                condition=models.Q(("source", "analyst")), fields=["-id"], name="labels_of_analysts"
            ),
        ),
    ]
