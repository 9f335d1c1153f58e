import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models
from django.db.models import Value
from django.db.models.functions import Concat


def say_who_set(apps, schema_editor):
    """Until now all that was said of an order was set by a program or a person."""
    studies = apps.get_model('radiology', 'Study').objects
    studies.exclude(priority='routine').update(order_set='priority')
    studies.exclude(location='').update(order_set=Concat('order_set', Value(',location')))
    studies.exclude(clinical_question='').update(order_set=Concat('order_set', Value(',clinical_question')))


class Migration(migrations.Migration):

    dependencies = [
        ('radiology', '0017_regions'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AddField(
            model_name='study',
            name='StudyID',
            field=models.CharField(blank=True, db_default='', default='', max_length=64),
        ),
        migrations.AddField(
            model_name='study',
            name='ReferringPhysicianName',
            field=models.CharField(blank=True, db_default='', default='', max_length=256),
        ),
        migrations.AddField(
            model_name='study',
            name='order_set',
            field=models.CharField(blank=True, db_default='', default='', help_text="Those of the order's fields that a program or a person set, by comma.", max_length=60),
        ),
        migrations.RunPython(say_who_set, migrations.RunPython.noop),
        migrations.CreateModel(
            name='SecondReadDecline',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('reason', models.CharField(max_length=400)),
                ('at', models.DateTimeField()),
                ('by', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('second', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='declines', to='radiology.secondread')),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('second', 'by'), name='second_read_declined_once')],
            },
        ),
    ]
