from datetime import timedelta

import django.core.validators
import django.db.models.deletion
import django.db.models.functions.datetime
from django.conf import settings
from django.db import migrations, models
from django.db.models import F, Q

import apps.core.clock

SHOWN = Q(withdrawn=False, is_prior=False)
TO_READ = SHOWN & Q(~Q(read_state__in=['final', 'amended']) | Q(late_films=True) | Q(second_read_due=True))
# What the ORM cannot say for both databases: the beginning of a number without regard to case.
ON_POSTGRES = {
    'study_patient_prefix': 'radiology_study (site_id, upper("PatientID"::text) text_pattern_ops)',
    'study_accession_prefix': 'radiology_study (site_id, upper("AccessionNumber"::text) text_pattern_ops)',
}


def rank(apps, schema_editor):
    studies = apps.get_model('radiology', 'Study').objects
    studies.filter(raised=False).update(rank_at=F('received_at'))
    studies.filter(raised=True).update(rank_at=F('received_at') - timedelta(days=1))


def add_indexes(apps, schema_editor):
    if schema_editor.connection.vendor == 'postgresql':
        for name, on in ON_POSTGRES.items():
            schema_editor.execute(f'CREATE INDEX {name} ON {on}')


def drop_indexes(apps, schema_editor):
    if schema_editor.connection.vendor == 'postgresql':
        for name in ON_POSTGRES:
            schema_editor.execute(f'DROP INDEX {name}')


def bounded(default, most, says):
    return models.PositiveIntegerField(
        db_default=default, default=default, help_text=says,
        validators=[django.core.validators.MinValueValidator(1), django.core.validators.MaxValueValidator(most)],
    )


class Migration(migrations.Migration):

    dependencies = [
        ('radiology', '0013_peers'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AddField(
            model_name='study',
            name='priority',
            field=models.CharField(choices=[('stat', 'STAT'), ('urgent', 'urgent'), ('routine', 'routine')], db_default='routine', default='routine', max_length=8),
        ),
        migrations.AddField(
            model_name='study',
            name='location',
            field=models.CharField(blank=True, db_default='', default='', max_length=64),
        ),
        migrations.AddField(
            model_name='study',
            name='clinical_question',
            field=models.CharField(blank=True, db_default='', default='', max_length=400),
        ),
        migrations.AddField(
            model_name='study',
            name='rank_at',
            field=models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), default=apps.core.clock.now, help_text='By `models.orders.rank_of`: the earliest is read first.'),
        ),
        migrations.AddField(
            model_name='study',
            name='late_films',
            field=models.BooleanField(db_default=False, default=False, help_text='Films came after sign-off, and nobody has said so yet.'),
        ),
        migrations.AddField(
            model_name='study',
            name='second_read_due',
            field=models.BooleanField(db_default=False, default=False, help_text='A second reader is asked for, and none has committed.'),
        ),
        migrations.AddField(
            model_name='readingpolicy',
            name='stat_target_min',
            field=bounded(60, 100_000, 'Minutes from receipt in which a STAT study is to be signed.'),
        ),
        migrations.AddField(
            model_name='readingpolicy',
            name='urgent_target_min',
            field=bounded(240, 100_000, 'The same for an urgent one.'),
        ),
        migrations.AddField(
            model_name='readingpolicy',
            name='routine_target_min',
            field=bounded(1440, 100_000, 'The same for a routine one.'),
        ),
        migrations.AddField(
            model_name='readingpolicy',
            name='exam_age_max_h',
            field=bounded(24, 10_000, 'An exam older than so many hours at receipt is marked.'),
        ),
        migrations.CreateModel(
            name='SavedView',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.CharField(max_length=40)),
                ('filters', models.JSONField(default=dict)),
                ('user', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('user', 'name'), name='view_per_name')],
            },
        ),
        migrations.CreateModel(
            name='HandOver',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('note', models.TextField(blank=True)),
                ('opened', models.BooleanField(default=False, help_text='Who gave it knew what the model says, so who takes it may know.')),
                ('at', models.DateTimeField()),
                ('taken_at', models.DateTimeField(blank=True, null=True)),
                ('by', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('study', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='hand_overs', to='radiology.study')),
                ('taken_by', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('to', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'indexes': [models.Index(condition=Q(taken_at=None), fields=['to'], name='hand_over_waits')],
                'constraints': [models.UniqueConstraint(condition=Q(taken_at=None), fields=('study',), name='one_hand_over_open')],
            },
        ),
        migrations.RunPython(rank, migrations.RunPython.noop),
        migrations.RemoveIndex(model_name='study', name='study_worklist'),
        migrations.AddIndex(
            model_name='study',
            index=models.Index(condition=TO_READ, fields=['site', 'rank_at', 'id'], name='study_to_read'),
        ),
        migrations.AddIndex(
            model_name='study',
            index=models.Index(condition=TO_READ & Q(status__in=['received', 'analysing']), fields=['site'], name='study_under_way'),
        ),
        migrations.AddIndex(
            model_name='study',
            index=models.Index(condition=SHOWN, fields=['site', '-received_at', '-id'], name='study_received'),
        ),
        migrations.AddIndex(
            model_name='study',
            index=models.Index(fields=['site', 'PatientID'], name='study_patient'),
        ),
        migrations.AddIndex(
            model_name='read',
            index=models.Index(fields=['reader', '-id'], name='read_by_reader'),
        ),
        migrations.AddIndex(
            model_name='instance',
            index=models.Index(fields=['Modality', 'study'], name='instance_modality'),
        ),
        migrations.RunPython(add_indexes, drop_indexes),
    ]
