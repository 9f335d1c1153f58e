from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [
        ("fraud", "0004_fill_key_and_evidence"),
    ]

    operations = [
        migrations.RemoveConstraint(
            model_name="transaction",
            name="event_once_per_source",
        ),
        migrations.RemoveField(
            model_name="decision",
            name="features",
        ),
        migrations.RemoveField(
            model_name="decision",
            name="reasons",
        ),
        migrations.RemoveField(
            model_name="transaction",
            name="body_sha256",
        ),
    ]
