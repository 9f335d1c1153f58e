"""What stood in the two wide tables goes to the narrow ones, before 0005 drops it there."""

from django.db import migrations

COPY = """
INSERT INTO fraud_eventkey (transaction_id, source_id, event_id, body_sha256)
SELECT id, source_id, event_id, body_sha256 FROM fraud_transaction;
INSERT INTO fraud_evidence (decision_id, features, reasons)
SELECT id, features, reasons FROM fraud_decision;
"""


def name_main_reasons(apps, schema_editor):
    decisions = apps.get_model("fraud", "Decision").objects
    for made in decisions.only("id", "reasons").iterator(chunk_size=1000):
        raising = (
            r["text"]
            for r in made.reasons
            if r["code"] != "other" and (r["weight"] is None or r["weight"] > 0)
        )
        if text := next(raising, ""):
            decisions.filter(pk=made.pk).update(main_reason=text[:200])


class Migration(migrations.Migration):
    dependencies = [
        ("fraud", "0003_key_and_evidence"),
    ]

    operations = [
        migrations.RunSQL(COPY, migrations.RunSQL.noop),
        migrations.RunPython(name_main_reasons, migrations.RunPython.noop),
    ]
