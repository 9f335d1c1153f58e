"""The gate: runs over a locked part, requests to promote, and where a domain's versions stand."""

from __future__ import annotations

from typing import Any

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


def remember_previous(apps: Any, schema_editor: Any) -> None:
    """What served before the champion, so that it can be rolled back to from the first hour on."""
    promotions = apps.get_model("modelops", "Promotion").objects
    for model in apps.get_model("modelops", "Model").objects.exclude(champion=None):
        before = promotions.filter(version__model=model).exclude(version_id=model.champion_id)
        if (last := before.order_by("-id").first()) is not None:
            model.previous_id = last.version_id
            model.save(update_fields=["previous"])


def version_key(name: str = "+", *, null: bool = False) -> models.ForeignKey:
    return models.ForeignKey(
        null=null, on_delete=django.db.models.deletion.PROTECT, related_name=name, to="modelops.modelversion"
    )


def person(*, null: bool) -> models.ForeignKey:
    return models.ForeignKey(
        null=null,
        on_delete=django.db.models.deletion.PROTECT,
        related_name="+",
        to=settings.AUTH_USER_MODEL,
    )


def place() -> models.ForeignKey:
    return models.ForeignKey(
        blank=True,
        null=True,
        on_delete=django.db.models.deletion.PROTECT,
        related_name="+",
        to="modelops.modelversion",
    )


class Migration(migrations.Migration):
    dependencies = [
        ("modelops", "0002_jobs"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AddField("model", "previous", place()),
        migrations.AddField("model", "challenger", place()),
        migrations.AddField("model", "shadow", place()),
        migrations.CreateModel(
            name="GateRun",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("status", models.CharField(choices=[("queued", "Queued"), ("running", "Running"), ("done", "Done"), ("failed", "Failed")], default="queued", max_length=10)),
                ("passed", models.BooleanField(default=False)),
                ("lines", models.JSONField(default=list)),
                ("n", models.PositiveIntegerField(default=0)),
                ("n_left_out", models.PositiveIntegerField(default=0)),
                ("error_code", models.CharField(blank=True, max_length=60)),
                ("error_message", models.TextField(blank=True)),
                ("progress", models.JSONField(default=dict, help_text="The latest progress event.")),
                ("fence", models.PositiveIntegerField(default=0, help_text="Grows with each claim; older holders are out.")),
                ("lease_expires_at", models.DateTimeField(blank=True, null=True)),
                ("rung_at", models.DateTimeField(blank=True, null=True)),
                ("at", models.DateTimeField()),
                ("finished_at", models.DateTimeField(blank=True, null=True)),
                ("by", person(null=True)),
                ("champion", version_key(null=True)),
                ("dataset", models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name="gate_runs", to="modelops.datasetsnapshot")),
                ("version", version_key("gate_runs")),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(condition=models.Q(("status__in", ["queued", "running"])), fields=("version",), name="one_open_gate_run"),
                ],
            },
        ),
        migrations.CreateModel(
            name="PromotionRequest",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("status", models.CharField(choices=[("open", "Open"), ("promoted", "Promoted"), ("refused", "Refused"), ("withdrawn", "Withdrawn")], default="open", max_length=10)),
                ("asked_at", models.DateTimeField()),
                ("decided_at", models.DateTimeField(null=True)),
                ("asked_by", person(null=False)),
                ("decided_by", person(null=True)),
                ("gate_run", models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name="promotion_requests", to="modelops.gaterun")),
                ("version", version_key("promotion_requests")),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(condition=models.Q(("status", "open")), fields=("version",), name="one_open_promotion_request"),
                    models.CheckConstraint(
                        condition=models.Q(models.Q(("status", "promoted"), _negated=True), models.Q(("decided_by__isnull", False), models.Q(("decided_by", models.F("asked_by")), _negated=True)), _connector="OR"),
                        name="promotion_takes_two_people",
                    ),
                ],
            },
        ),
        migrations.RunPython(remember_previous, migrations.RunPython.noop),
    ]
