from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('radiology', '0019_shadow'),
    ]

    operations = [
        migrations.AddField(
            model_name='analysis',
            name='variant',
            field=models.CharField(blank=True, db_default='', default='', help_text='The form of the model that computed it: onnx, int8 or torch; empty where none was kept.', max_length=20),
        ),
    ]
