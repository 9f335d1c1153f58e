from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("radiology", "0008_piece_uploads")]

    operations = [
        migrations.AlterField(
            model_name="finding",
            name="operating_point",
            field=models.FloatField(
                help_text="None: too little evidence to set one, and nothing is called.", null=True
            ),
        ),
        migrations.AddField(
            model_name="finding",
            name="attention",
            field=models.BinaryField(
                help_text="PNG to lay over the film: where the model looked. Only of what is called.", null=True
            ),
        ),
    ]
