import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('accounts', '0004_trusted_clients'),
        ('modelops', '0005_variants'),
        ('radiology', '0018_header_orders'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='ShadowRun',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('started_at', models.DateTimeField()),
                ('ended_at', models.DateTimeField(null=True)),
                ('end', models.CharField(blank=True, choices=[('stopped', 'stopped'), ('replaced', 'another version took its place'), ('promoted', 'it was put in service')], max_length=8)),
                ('trouble', models.CharField(blank=True, max_length=300)),
                ('after_analysis', models.BigIntegerField()),
                ('through', models.BigIntegerField()),
                ('seen', models.BigIntegerField()),
                ('fence', models.BigIntegerField(default=0)),
                ('ended_by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('started_by', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('version', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='modelops.modelversion')),
            ],
        ),
        migrations.CreateModel(
            name='ShadowAnalysis',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('state', models.CharField(choices=[('scored', 'scored'), ('not_its', 'not its to judge'), ('failed', 'failed')], max_length=7)),
                ('reason_code', models.CharField(blank=True, max_length=40)),
                ('reason', models.CharField(blank=True, max_length=200)),
                ('was_raised', models.BooleanField()),
                ('raised', models.BooleanField(default=False)),
                ('at', models.DateTimeField()),
                ('analysis', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='radiology.analysis')),
                ('site', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='accounts.site')),
                ('run', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='analyses', to='radiology.shadowrun')),
            ],
        ),
        migrations.CreateModel(
            name='ShadowFinding',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('label', models.CharField(max_length=64)),
                ('probability', models.FloatField()),
                ('operating_point', models.FloatField(null=True)),
                ('positive', models.BooleanField()),
                ('beside', models.ForeignKey(null=True, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='radiology.finding')),
                ('shadow', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='findings', to='radiology.shadowanalysis')),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('shadow', 'label'), name='shadow_finding_per_label'), models.CheckConstraint(condition=models.Q(('probability__gte', 0), ('probability__lte', 1)), name='shadow_is_probability')],
            },
        ),
        migrations.AddConstraint(
            model_name='shadowrun',
            constraint=models.UniqueConstraint(condition=models.Q(('ended_at', None)), fields=('version',), name='one_open_film_run_of_a_version'),
        ),
        migrations.AddConstraint(
            model_name='shadowrun',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('end', ''), ('ended_at', None)), models.Q(('end__in', ['stopped', 'replaced', 'promoted']), ('ended_at__isnull', False)), _connector='OR'), name='film_run_end_known'),
        ),
        migrations.AddIndex(
            model_name='shadowanalysis',
            index=models.Index(fields=['run', 'site', '-analysis'], name='film_shadow_newest'),
        ),
        migrations.AddConstraint(
            model_name='shadowanalysis',
            constraint=models.UniqueConstraint(fields=('analysis', 'run'), name='one_shadow_analysis_per_run'),
        ),
        migrations.AddConstraint(
            model_name='shadowanalysis',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('reason_code', ''), ('state', 'scored')), models.Q(('raised', False), ('state__in', ['not_its', 'failed']), models.Q(('reason_code', ''), _negated=True)), _connector='OR'), name='shadow_analysis_state_known'),
        ),
    ]
