from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("radiology", "0003_names")]

    operations = [
        migrations.AlterField(
            model_name="finding",
            name="operating_point",
            field=models.FloatField(
                help_text="None: too little evidence to set one, and nothing is called.", null=True
            ),
        ),
    ]
