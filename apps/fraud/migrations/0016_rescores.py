"""What the model said of a payment after the fact: a record beside its decision."""

import django.db.models.deletion
from django.db import migrations, models

TABLE = "fraud_rescore"


def add_trigger(apps, schema_editor):
    """A person is shown it and may ask later what it was: the database lets it not be rewritten."""
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(
            "CREATE FUNCTION rescore_refuse() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN RAISE EXCEPTION 'a rescore is never changed'; END $$"
        )
        schema_editor.execute(
            f"CREATE TRIGGER {TABLE}_kept BEFORE UPDATE ON {TABLE} "
            "FOR EACH ROW EXECUTE FUNCTION rescore_refuse()"
        )
    else:
        schema_editor.execute(
            f"CREATE TRIGGER {TABLE}_kept BEFORE UPDATE ON {TABLE} "
            "BEGIN SELECT RAISE(ABORT, 'a rescore is never changed'); END"
        )


def drop_trigger(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(f"DROP TRIGGER {TABLE}_kept ON {TABLE}")
        schema_editor.execute("DROP FUNCTION rescore_refuse()")
    else:
        schema_editor.execute(f"DROP TRIGGER {TABLE}_kept")


class Migration(migrations.Migration):
    dependencies = [
        ("fraud", "0015_one_state_table"),
    ]

    operations = [
        migrations.AddField(
            model_name="shardlock",
            name="late_retry_at",
            field=models.DateTimeField(null=True),
        ),
        migrations.CreateModel(
            name="Rescore",
            fields=[
                (
                    "decision",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT,
                        primary_key=True,
                        related_name="rescore",
                        serialize=False,
                        to="fraud.decision",
                    ),
                ),
                ("score", models.FloatField()),
                (
                    "by_score",
                    models.CharField(
                        choices=[("approve", "Approve"), ("review", "Review"), ("decline", "Decline")],
                        max_length=7,
                    ),
                ),
                ("main_reason", models.CharField(blank=True, max_length=200)),
                ("model_version", models.PositiveIntegerField()),
                ("artefact_hash", models.CharField(max_length=64)),
                ("review_threshold", models.FloatField()),
                ("decline_threshold", models.FloatField()),
                ("at", models.DateTimeField()),
            ],
        ),
        migrations.AddConstraint(
            model_name="rescore",
            constraint=models.CheckConstraint(
                condition=models.Q(("by_score__in", ["approve", "review", "decline"])), name="by_score_known"
            ),
        ),
        migrations.AddConstraint(
            model_name="rescore",
            constraint=models.CheckConstraint(
                condition=models.Q(("score__gte", 0), ("score__lte", 1)), name="rescore_in_range"
            ),
        ),
        migrations.RunPython(add_trigger, drop_trigger),
    ]
