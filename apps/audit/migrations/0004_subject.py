from django.db import migrations, models

from apps.core.online_index import AddIndexOnline


class Migration(migrations.Migration):
    atomic = False  # the log is written to meanwhile

    dependencies = [
        ("audit", "0003_action_of_a_site"),
    ]

    operations = [
        AddIndexOnline(
            model_name="auditevent",
            index=models.Index(
                fields=["subject", "-id"], condition=models.Q(("subject", ""), _negated=True), name="audit_subject"
            ),
        ),
    ]
