import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('fraud', '0017_work'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AddField(
            model_name='alert',
            name='closed_at',
            field=models.DateTimeField(null=True),
        ),
        migrations.AddField(
            model_name='workitem',
            name='escalated_at',
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddIndex(
            model_name='alert',
            index=models.Index(condition=models.Q(('closed_at__isnull', False)), fields=['site', 'closed_at'], name='alerts_by_closing'),
        ),
        migrations.AddIndex(
            model_name='workitem',
            index=models.Index(condition=models.Q(('closed_at', None), ('snoozed_until__isnull', False)), fields=['site', 'desk', 'snoozed_until'], name='items_snoozed'),
        ),
        migrations.AddIndex(
            model_name='workitem',
            index=models.Index(condition=models.Q(('closed_at', None), ('escalated_at__isnull', False)), fields=['site', 'desk', '-at_stake_minor', '-id'], name='items_escalated'),
        ),
        migrations.AddIndex(
            model_name='workitem',
            index=models.Index(condition=models.Q(('assignee__isnull', False), ('closed_at', None)), fields=['assignee', '-at_stake_minor', '-id'], name='items_given'),
        ),
        migrations.CreateModel(
            name='WorkMove',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('kind', models.CharField(choices=[('assign', 'given'), ('escalate', 'escalated'), ('snooze', 'put off')], max_length=8)),
                ('until', models.DateTimeField(null=True)),
                ('note', models.CharField(blank=True, max_length=300)),
                ('at', models.DateTimeField()),
                ('by', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('item', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='moves', to='fraud.workitem')),
                ('to', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'constraints': [
                    models.CheckConstraint(condition=models.Q(('kind__in', ['assign', 'escalate', 'snooze'])), name='move_known'),
                    models.CheckConstraint(condition=models.Q(models.Q(('kind', 'escalate'), _negated=True), models.Q(('to__isnull', False), models.Q(('note', ''), _negated=True)), _connector='OR'), name='escalated_to_somebody_for_a_reason'),
                ],
            },
        ),
        migrations.CreateModel(
            name='DeskBudget',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('desk', models.CharField(choices=[('loss', 'Loss'), ('friction', 'Declined customers')], max_length=8)),
                ('alerts_per_day', models.PositiveIntegerField()),
                ('set_at', models.DateTimeField(null=True)),
                ('figures', models.JSONField(default=dict)),
                ('basis', models.CharField(blank=True, max_length=160)),
                ('worked_out_at', models.DateTimeField(null=True)),
                ('set_by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('site', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='accounts.site')),
            ],
            options={
                'constraints': [
                    models.UniqueConstraint(fields=('site', 'desk'), name='one_budget_a_desk'),
                    models.CheckConstraint(condition=models.Q(('desk__in', ['loss', 'friction'])), name='budget_desk_known'),
                ],
            },
        ),
        migrations.CreateModel(
            name='QueueView',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.CharField(max_length=40)),
                ('filters', models.JSONField(default=dict)),
                ('user', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('user', 'name'), name='queue_view_per_name')],
            },
        ),
    ]
