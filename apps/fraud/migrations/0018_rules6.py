"""Rules asked of history, and thresholds that two people stand behind."""

import uuid

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

KEPT = ("fraud_operatingproposal", "fraud_proposalreview")
METHODS = [
    ("trained", "as it was trained"),
    ("budget", "from a review budget"),
    ("cost", "from expected cost"),
    ("by_hand", "set by hand"),
]
METHOD_KNOWN = models.Q(("method__in", ["trained", "budget", "cost", "by_hand"]))


def add_triggers(apps, schema_editor):
    """Two people answer for it: the database lets it not be rewritten."""
    for table in KEPT:
        if schema_editor.connection.vendor == "postgresql":
            schema_editor.execute(
                f"CREATE TRIGGER {table}_kept BEFORE UPDATE ON {table} "
                "FOR EACH ROW EXECUTE FUNCTION rules_refuse()"
            )
        else:
            schema_editor.execute(
                f"CREATE TRIGGER {table}_kept BEFORE UPDATE ON {table} "
                "BEGIN SELECT RAISE(ABORT, 'what was proposed and reviewed is never changed'); END"
            )


def guard_points_again(apps, schema_editor):
    """SQLite makes a table anew to change it, and leaves its triggers behind."""
    if schema_editor.connection.vendor == "sqlite":
        schema_editor.execute(
            "CREATE TRIGGER IF NOT EXISTS fraud_operatingpoint_kept BEFORE UPDATE ON fraud_operatingpoint "
            "BEGIN SELECT RAISE(ABORT, 'operating points are never changed once saved'); END"
        )


def drop_triggers(apps, schema_editor):
    on_postgresql = schema_editor.connection.vendor == "postgresql"
    for table in KEPT:
        schema_editor.execute(f"DROP TRIGGER {table}_kept" + (f" ON {table}" if on_postgresql else ""))


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0003_names"),
        ("fraud", "0016_rescores"),
        ("modelops", "0001_initial"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        # Runs last on the way back, once the table is as it was.
        migrations.RunPython(migrations.RunPython.noop, guard_points_again),
        migrations.CreateModel(
            name="Backtest",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("public_id", models.UUIDField(default=uuid.uuid4, editable=False, unique=True)),
                ("rules", models.JSONField(help_text="As in a rule set, saved or not.")),
                (
                    "version",
                    models.PositiveIntegerField(help_text="The rule set's number; none for a draft.", null=True),
                ),
                ("days", models.PositiveSmallIntegerField()),
                ("asked_at", models.DateTimeField()),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("running", "Running"),
                            ("done", "Done"),
                            ("cancelled", "Cancelled"),
                            ("failed", "Failed"),
                        ],
                        default="running",
                        max_length=9,
                    ),
                ),
                ("first_id", models.BigIntegerField()),
                ("at_id", models.BigIntegerField()),
                ("last_id", models.BigIntegerField()),
                ("tally", models.JSONField()),
                ("seconds", models.FloatField(default=0)),
                ("moved_at", models.DateTimeField()),
                ("fault", models.CharField(blank=True, max_length=100)),
                (
                    "by",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to=settings.AUTH_USER_MODEL
                    ),
                ),
                (
                    "site",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to="accounts.site"
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(fields=["site", "-id"], name="backtest_newest"),
                    models.Index(
                        condition=models.Q(("state", "running")), fields=["moved_at"], name="backtest_running"
                    ),
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("state__in", ["running", "done", "cancelled", "failed"])),
                        name="backtest_state_known",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("at_id__lte", models.F("last_id")), ("first_id__lte", models.F("at_id"))
                        ),
                        name="backtest_on_its_way",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="OperatingProposal",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("method", models.CharField(choices=METHODS, max_length=7)),
                ("review", models.FloatField()),
                ("decline", models.FloatField()),
                ("asked", models.JSONField()),
                ("came_to", models.JSONField()),
                ("note", models.CharField(max_length=300)),
                ("loosens", models.BooleanField()),
                ("at", models.DateTimeField()),
                (
                    "by",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to=settings.AUTH_USER_MODEL
                    ),
                ),
                (
                    "site",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to="accounts.site"
                    ),
                ),
                (
                    "version",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to="modelops.modelversion"
                    ),
                ),
            ],
            options={
                "indexes": [models.Index(fields=["site", "version", "-id"], name="proposal_newest")],
                "constraints": [
                    models.CheckConstraint(condition=METHOD_KNOWN, name="proposal_method_known"),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("decline__lte", 1), ("review__gte", 0), ("review__lte", models.F("decline"))
                        ),
                        name="proposal_review_below_decline",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="ProposalReview",
            fields=[
                (
                    "proposal",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT,
                        primary_key=True,
                        related_name="review_of",
                        serialize=False,
                        to="fraud.operatingproposal",
                    ),
                ),
                ("accepted", models.BooleanField()),
                ("note", models.CharField(blank=True, max_length=300)),
                ("at", models.DateTimeField()),
                (
                    "by",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to=settings.AUTH_USER_MODEL
                    ),
                ),
            ],
        ),
        migrations.AddField(
            model_name="operatingpoint", name="until", field=models.DateTimeField(null=True)
        ),
        migrations.AddField(
            model_name="operatingpoint",
            name="proposal",
            field=models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="points",
                to="fraud.operatingproposal",
            ),
        ),
        migrations.AlterField(
            model_name="operatingpoint", name="method", field=models.CharField(choices=METHODS, max_length=7)
        ),
        migrations.RemoveConstraint(model_name="operatingpoint", name="operating_method_known"),
        migrations.AddConstraint(
            model_name="operatingpoint",
            constraint=models.CheckConstraint(condition=METHOD_KNOWN, name="operating_method_known"),
        ),
        migrations.RunPython(guard_points_again, migrations.RunPython.noop),
        migrations.RunPython(add_triggers, drop_triggers),
    ]
