from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ("modelops", "0004_snapshots"),
    ]

    operations = [
        migrations.AddField(
            model_name='modelversion',
            name='variant',
            field=models.CharField(blank=True, db_default='', default='', help_text='Which form of the model serves; empty for the only one.', max_length=20),
        ),
    ]
