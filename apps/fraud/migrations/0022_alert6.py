from django.db import migrations, models

from apps.core.online_index import AddIndexOnline


DECIDED = ("status", "decided")


def of(field, name, *where):
    index = models.Index(condition=models.Q(DECIDED, *where), fields=[field, "occurred_at"], name=name)
    return AddIndexOnline(model_name="transaction", index=index)


class Migration(migrations.Migration):
    atomic = False  # events come in meanwhile

    dependencies = [
        ("fraud", "0021_dispositions"),
    ]

    operations = [
        of("merchant_id", "merchant_events"),
        of("terminal_id", "terminal_events"),
        of("device_id", "device_events", models.Q(("device_id", ""), _negated=True)),
        of("ip", "ip_events", ("ip__isnull", False)),
    ]
