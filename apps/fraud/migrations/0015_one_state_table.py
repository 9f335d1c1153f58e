"""States of cards, terminals, merchants and devices in one table. The tables before hold states of an earlier
version, which would begin anew: `manage.py rebuild_state --write` makes them again from what was decided."""

import django.db.models.deletion
from django.db import migrations, models

# A row is written again with each payment: room on its page for its next version spares the index. A state
# stays in its row and is not compressed: elsewhere each would be other tables' rows, at five times the cost.
STORAGE = "ALTER TABLE fraud_keystate SET (fillfactor = 60, toast_tuple_target = 8160)"


def lay_out(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(STORAGE)


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0003_names"),
        ("fraud", "0014_pass_through"),
    ]

    operations = [
        migrations.CreateModel(
            name="KeyState",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("key", models.CharField(max_length=140)),
                ("state", models.BinaryField(default=bytes)),
                ("artefact_hash", models.CharField(blank=True, max_length=64)),
                ("version", models.PositiveBigIntegerField(default=0)),
                (
                    "site",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="accounts.site",
                    ),
                ),
            ],
        ),
        migrations.AddConstraint(
            model_name="keystate",
            constraint=models.UniqueConstraint(fields=("site", "key"), name="one_state_per_key"),
        ),
        migrations.RunPython(lay_out, migrations.RunPython.noop),
        migrations.DeleteModel(name="CardState"),
        migrations.DeleteModel(name="TerminalState"),
    ]
