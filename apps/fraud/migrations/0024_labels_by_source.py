from django.db import migrations


class Migration(migrations.Migration):
    """Nobody walks an analyst's labels any more: dispositions are counted."""

    dependencies = [("fraud", "0023_shadow")]

    operations = [migrations.RemoveIndex(model_name="fraudlabel", name="labels_of_analysts")]
