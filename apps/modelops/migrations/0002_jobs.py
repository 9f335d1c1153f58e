"""Jobs that are paused, resumed and parked, that hold a device, and whose end is told."""

import apps.core.clock
import django.db.models.functions.datetime
from django.db import migrations, models


def keep_their_turn(apps, schema_editor):
    apps.get_model('modelops', 'TrainingJob').objects.update(queued_at=models.F('created_at'))


class Migration(migrations.Migration):

    dependencies = [
        ('modelops', '0001_initial'),
    ]

    operations = [
        migrations.RemoveIndex(
            model_name='trainingjob',
            name='job_open_oldest',
        ),
        migrations.AddField(
            model_name='trainingjob',
            name='attempts',
            field=models.PositiveSmallIntegerField(db_default=0, default=0, help_text='Claims since it last got as far as a checkpoint.'),
        ),
        migrations.AddField(
            model_name='trainingjob',
            name='checkpoint_at',
            field=models.DateTimeField(blank=True, help_text='When it was last kept how far it got; empty if nothing is.', null=True),
        ),
        migrations.AddField(
            model_name='trainingjob',
            name='device',
            field=models.CharField(choices=[('auto', 'as the machine has it'), ('cpu', 'processor'), ('cuda', 'graphics card')], db_default='auto', default='auto', max_length=10),
        ),
        migrations.AddField(
            model_name='trainingjob',
            name='device_slot',
            field=models.CharField(blank=True, db_default='', default='', help_text='The one device its holder trains on, as host/kind:index; empty for the processor.', max_length=120),
        ),
        migrations.AddField(
            model_name='trainingjob',
            name='pause_requested',
            field=models.BooleanField(db_default=False, default=False),
        ),
        migrations.AddField(
            model_name='trainingjob',
            name='queued_at',
            field=models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), default=apps.core.clock.now, help_text='Its place in the queue; behind the others after each claim.'),
        ),
        migrations.AddField(
            model_name='trainingjob',
            name='unseen',
            field=models.BooleanField(db_default=False, default=False, help_text='It is over and who asked for it has not looked yet.'),
        ),
        migrations.AlterField(
            model_name='trainingjob',
            name='status',
            field=models.CharField(choices=[('queued', 'Queued'), ('running', 'Running'), ('paused', 'Paused'), ('succeeded', 'Succeeded'), ('failed', 'Failed'), ('cancelled', 'Cancelled')], default='queued', max_length=10),
        ),
        migrations.AddIndex(
            model_name='trainingjob',
            index=models.Index(condition=models.Q(('status__in', ['queued', 'running'])), fields=['queued_at', 'id'], name='job_open_in_turn'),
        ),
        migrations.AddConstraint(
            model_name='trainingjob',
            constraint=models.UniqueConstraint(condition=models.Q(('status', 'running'), models.Q(('device_slot', ''), _negated=True)), fields=('device_slot',), name='one_running_job_a_device'),
        ),
        migrations.RunPython(keep_their_turn, migrations.RunPython.noop),
    ]
