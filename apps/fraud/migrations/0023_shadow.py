"""What a version in shadow says: new tables, which the release before knows nothing of."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

OUTCOMES = [("approve", "Approve"), ("review", "Review"), ("decline", "Decline")]
KNOWN = ["approve", "review", "decline"]
ENDS = [
    ("stopped", "stopped"),
    ("replaced", "another version took its place"),
    ("promoted", "it was put in service"),
]


def key():
    return models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")


def to(model, on_delete=django.db.models.deletion.PROTECT, related_name="+", **given):
    return models.ForeignKey(on_delete=on_delete, related_name=related_name, to=model, **given)


def of_run(on_delete=django.db.models.deletion.CASCADE, related_name="+"):
    return to("fraud.shadowrun", on_delete, related_name, db_index=False)


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0003_names"),
        ("modelops", "0003_gate"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
        ("fraud", "0022_counts"),
    ]

    operations = [
        migrations.CreateModel(
            name="ShadowRun",
            fields=[
                ("id", key()),
                ("after_decision", models.BigIntegerField()),
                ("started_at", models.DateTimeField()),
                ("ended_at", models.DateTimeField(null=True)),
                ("end", models.CharField(blank=True, choices=ENDS, max_length=8)),
                ("trouble", models.CharField(blank=True, max_length=300)),
                ("ended_by", to(settings.AUTH_USER_MODEL, null=True)),
                ("started_by", to(settings.AUTH_USER_MODEL)),
                ("version", to("modelops.modelversion")),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("ended_at", None)),
                        fields=("version",),
                        name="one_open_run_of_a_version",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("end", ""), ("ended_at", None)),
                            models.Q(
                                ("ended_at__isnull", False), ("end__in", ["stopped", "replaced", "promoted"])
                            ),
                            _connector="OR",
                        ),
                        name="run_end_known",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="ShadowCursor",
            fields=[
                ("id", key()),
                ("shard", models.PositiveSmallIntegerField()),
                ("through", models.BigIntegerField()),
                ("seen", models.BigIntegerField()),
                ("fence", models.BigIntegerField(default=0)),
                ("run", of_run(related_name="cursors")),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("run", "shard"), name="one_cursor_per_shard")
                ],
            },
        ),
        migrations.CreateModel(
            name="ShadowMemory",
            fields=[
                ("id", key()),
                ("card_token", models.CharField(max_length=128)),
                ("hidden", models.BinaryField(default=bytes)),
                ("run", of_run()),
                ("site", to("accounts.site", db_index=False)),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("run", "site", "card_token"), name="one_memory_per_card")
                ],
            },
        ),
        migrations.CreateModel(
            name="ShadowScore",
            fields=[
                ("id", key()),
                ("score", models.FloatField(null=True)),
                ("by_score", models.CharField(blank=True, choices=OUTCOMES, max_length=7)),
                ("would_be", models.CharField(choices=OUTCOMES, max_length=7)),
                ("review_threshold", models.FloatField()),
                ("decline_threshold", models.FloatField()),
                ("at", models.DateTimeField()),
                ("decision", to("fraud.decision", db_index=False)),
                ("run", of_run(django.db.models.deletion.PROTECT, "scores")),
                ("site", to("accounts.site", db_index=False)),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("decision", "run"), name="one_shadow_score_per_run"),
                    models.CheckConstraint(
                        condition=models.Q(("would_be__in", KNOWN)), name="would_be_known"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("by_score", ""), ("score", None)),
                            models.Q(("score__gte", 0), ("score__lte", 1), ("by_score__in", KNOWN)),
                            _connector="OR",
                        ),
                        name="shadow_score_in_range",
                    ),
                ],
                "indexes": [models.Index(fields=["run", "site", "-decision"], name="shadow_newest")],
            },
        ),
        migrations.CreateModel(
            name="ShadowCount",
            fields=[
                ("id", key()),
                ("day", models.DateField()),
                ("was", models.CharField(choices=OUTCOMES, max_length=7)),
                ("would_be", models.CharField(choices=OUTCOMES, max_length=7)),
                ("n", models.PositiveBigIntegerField()),
                ("run", of_run(related_name="counts")),
                ("site", to("accounts.site", db_index=False)),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        fields=("run", "site", "day", "was", "would_be"), name="shadow_counted_once"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("was__in", KNOWN), ("would_be__in", KNOWN)),
                        name="shadow_outcomes_known",
                    ),
                ],
            },
        ),
    ]
