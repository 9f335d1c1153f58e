from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('radiology', '0020_analysis_variant'),
    ]

    operations = [
        migrations.AddField(
            model_name='instance',
            name='Manufacturer',
            field=models.CharField(blank=True, db_default='', default='', max_length=64),
        ),
    ]
