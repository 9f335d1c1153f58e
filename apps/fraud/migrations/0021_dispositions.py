"""What analysts say and do, cases, contests, and what outside is no label. All of it is new or may be null."""

import django.db.models.deletion
import uuid
from django.conf import settings
from django.db import migrations, models


KEPT = (
    "fraud_disposition", "fraud_withdrawal", "fraud_act", "fraud_contactattempt", "fraud_caseentry", "fraud_notice",
)  # fmt: skip


def add_triggers(apps, schema_editor):
    """What was said and done is added to and never changed: the database refuses it."""
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(
            "CREATE FUNCTION kept_refuse() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN RAISE EXCEPTION 'this row is never changed'; END $$"
        )
    for table in KEPT:
        if schema_editor.connection.vendor == "postgresql":
            schema_editor.execute(
                f"CREATE TRIGGER {table}_kept BEFORE UPDATE ON {table} "
                "FOR EACH ROW EXECUTE FUNCTION kept_refuse()"
            )
        else:
            schema_editor.execute(
                f"CREATE TRIGGER {table}_kept BEFORE UPDATE ON {table} "
                "BEGIN SELECT RAISE(ABORT, 'this row is never changed'); END"
            )


def drop_triggers(apps, schema_editor):
    postgres = schema_editor.connection.vendor == "postgresql"
    for table in KEPT:
        schema_editor.execute(f"DROP TRIGGER {table}_kept" + (f" ON {table}" if postgres else ""))
    if postgres:
        schema_editor.execute("DROP FUNCTION kept_refuse()")


def tell_apart(apps, schema_editor):
    """Going back: an analyst may have said the same twice, which the constraint from before takes only once."""
    schema_editor.execute(
        "UPDATE fraud_fraudlabel SET raw_code = 'disposition-' || disposition_id"
        " WHERE disposition_id IS NOT NULL"
    )


class Migration(migrations.Migration):

    dependencies = [
        ('accounts', '0004_trusted_clients'),
        ('fraud', '0020_queue6'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='Act',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('public_id', models.UUIDField(default=uuid.uuid4, editable=False, unique=True)),
                ('kind', models.CharField(choices=[('release', 'Payment released'), ('block', 'Card blocked'), ('list', 'Put on a list')], max_length=7)),
                ('at', models.DateTimeField()),
            ],
        ),
        migrations.CreateModel(
            name='Case',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('public_id', models.UUIDField(default=uuid.uuid4, editable=False, unique=True)),
                ('number', models.PositiveIntegerField()),
                ('title', models.CharField(max_length=150)),
                ('opened_at', models.DateTimeField()),
                ('closing_at', models.DateTimeField(null=True)),
                ('conclusion', models.CharField(blank=True, max_length=2000)),
                ('closed_at', models.DateTimeField(null=True)),
            ],
        ),
        migrations.CreateModel(
            name='CaseEntry',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('kind', models.CharField(choices=[('opened', 'opened'), ('note', 'note'), ('link', 'link'), ('alert', 'alert added'), ('closing', 'closing asked for'), ('refused', 'not closed'), ('closed', 'closed')], max_length=7)),
                ('text', models.CharField(blank=True, max_length=2000)),
                ('link', models.URLField(blank=True, max_length=500)),
                ('at', models.DateTimeField()),
            ],
        ),
        migrations.CreateModel(
            name='ContactAttempt',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('channel', models.CharField(choices=[('phone', 'telephone'), ('sms', 'text message'), ('email', 'e-mail'), ('app', "the bank's app"), ('letter', 'letter'), ('other', 'other')], max_length=6)),
                ('outcome', models.CharField(choices=[('not_reached', 'not reached'), ('message_left', 'message left'), ('confirmed', 'confirms the payment'), ('denied', 'denies the payment'), ('unsure', 'is not sure'), ('refused', 'would not say')], max_length=12)),
                ('note', models.CharField(blank=True, max_length=500)),
                ('made_at', models.DateTimeField()),
                ('at', models.DateTimeField()),
            ],
        ),
        migrations.CreateModel(
            name='Contest',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('public_id', models.UUIDField(default=uuid.uuid4, editable=False, unique=True)),
                ('contest_id', models.CharField(max_length=128)),
                ('message', models.CharField(blank=True, help_text='What the customer says.', max_length=1000)),
                ('opened_at', models.DateTimeField()),
                ('outcome', models.CharField(blank=True, choices=[('upheld', 'the decline stands'), ('overturned', 'the decline was wrong')], max_length=10)),
                ('answer', models.CharField(blank=True, help_text='What the customer is told.', max_length=1000)),
                ('settled_at', models.DateTimeField(null=True)),
            ],
        ),
        migrations.CreateModel(
            name='Disposition',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('public_id', models.UUIDField(default=uuid.uuid4, editable=False, unique=True)),
                ('batch', models.UUIDField(db_index=True)),
                ('verdict', models.CharField(choices=[('fraud', 'Confirmed fraud'), ('legitimate', 'Legitimate'), ('cannot_tell', 'Cannot tell'), ('duplicate', 'Duplicate')], max_length=11)),
                ('type', models.CharField(blank=True, choices=[('lost', 'Lost'), ('stolen', 'Stolen'), ('not_received', 'card not received'), ('false_application', 'False Application'), ('counterfeit', 'Counterfeit'), ('account_takeover', 'Account Takeover'), ('card_not_present', 'Card Not Present'), ('payer_manipulation', 'Payer Manipulation'), ('first_party', 'First Party'), ('merchant_misrepresentation', 'Merchant Misrepresentation'), ('other', 'Other')], max_length=26)),
                ('reason', models.CharField(choices=[('holder_denies', 'the cardholder denies it'), ('holder_confirms', 'the cardholder confirms it'), ('issuer_says', 'the issuer says so'), ('pattern', 'a known pattern of fraud'), ('card_testing', 'a stolen number is tried out'), ('usual', 'as this card is used'), ('travel', 'a journey explains it'), ('merchant_confirms', 'the merchant confirms it'), ('not_reached', 'nobody could be reached'), ('too_little', 'too little to go by'), ('same_payment', 'the same payment came twice'), ('same_alert', 'settled with another alert'), ('other', 'other, see the note')], max_length=17)),
                ('note', models.CharField(blank=True, max_length=500)),
                ('at', models.DateTimeField()),
            ],
        ),
        migrations.CreateModel(
            name='Notice',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('kind', models.CharField(choices=[('dispute', 'a dispute about goods or services'), ('processing', 'a processing error'), ('authorization', 'an authorization that was not had'), ('program', 'a chargeback program or an inquiry'), ('unmapped', 'a chargeback without a known reason code'), ('not_upheld', 'a chargeback that was not upheld')], max_length=13)),
                ('source', models.CharField(choices=[('analyst', 'Analyst'), ('cardholder', 'Cardholder'), ('issuer', 'Issuer'), ('tc40', 'TC40'), ('safe', 'SAFE'), ('chargeback', 'Chargeback')], max_length=10)),
                ('scheme', models.CharField(blank=True, max_length=32)),
                ('raw_code', models.CharField(blank=True, max_length=32)),
                ('known_at', models.DateTimeField()),
                ('received_at', models.DateTimeField()),
            ],
        ),
        migrations.RemoveConstraint(
            model_name='fraudlabel',
            name='label_said_once',
        ),
        migrations.RemoveConstraint(
            model_name='outboxrow',
            name='told_once_per_topic',
        ),
        migrations.AddField(
            model_name='act',
            name='by',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddField(
            model_name='act',
            name='decision',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='acts', to='fraud.decision'),
        ),
        migrations.AddField(
            model_name='act',
            name='entry',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='acts', to='fraud.listentry'),
        ),
        migrations.AddField(
            model_name='act',
            name='site',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='accounts.site'),
        ),
        migrations.AddField(
            model_name='act',
            name='undoes',
            field=models.OneToOneField(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='undone', to='fraud.act'),
        ),
        migrations.AddField(
            model_name='outboxrow',
            name='act',
            field=models.ForeignKey(blank=True, db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='told', to='fraud.act'),
        ),
        migrations.AddConstraint(
            model_name='outboxrow',
            constraint=models.UniqueConstraint(condition=models.Q(('act', None)), fields=('topic', 'decision'), name='told_once_per_topic'),
        ),
        migrations.AddConstraint(
            model_name='outboxrow',
            constraint=models.UniqueConstraint(condition=models.Q(('act__isnull', False)), fields=('act',), name='act_told_once'),
        ),
        migrations.AddField(
            model_name='case',
            name='alerts',
            field=models.ManyToManyField(related_name='cases', to='fraud.alert'),
        ),
        migrations.AddField(
            model_name='case',
            name='closed_by',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddField(
            model_name='case',
            name='closing_by',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddField(
            model_name='case',
            name='opened_by',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddField(
            model_name='case',
            name='site',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='accounts.site'),
        ),
        migrations.AddField(
            model_name='caseentry',
            name='alert',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='fraud.alert'),
        ),
        migrations.AddField(
            model_name='caseentry',
            name='by',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddField(
            model_name='caseentry',
            name='case',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='entries', to='fraud.case'),
        ),
        migrations.AddField(
            model_name='contactattempt',
            name='by',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddField(
            model_name='contactattempt',
            name='decision',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='contacts', to='fraud.decision'),
        ),
        migrations.AddField(
            model_name='contactattempt',
            name='site',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='accounts.site'),
        ),
        migrations.AddField(
            model_name='contest',
            name='decision',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='contests', to='fraud.decision'),
        ),
        migrations.AddField(
            model_name='contest',
            name='settled_by',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddField(
            model_name='contest',
            name='site',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='accounts.site'),
        ),
        migrations.AddField(
            model_name='contest',
            name='source',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='contests', to='fraud.source'),
        ),
        migrations.CreateModel(
            name='LabelDue',
            fields=[
                ('disposition', models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, primary_key=True, related_name='label_due', serialize=False, to='fraud.disposition')),
                ('due_at', models.DateTimeField(db_index=True)),
            ],
        ),
        migrations.CreateModel(
            name='Withdrawal',
            fields=[
                ('disposition', models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, primary_key=True, related_name='withdrawal', serialize=False, to='fraud.disposition')),
                ('at', models.DateTimeField()),
            ],
        ),
        migrations.AddField(
            model_name='disposition',
            name='alerts',
            field=models.ManyToManyField(related_name='dispositions', to='fraud.alert'),
        ),
        migrations.AddField(
            model_name='disposition',
            name='by',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddField(
            model_name='disposition',
            name='item',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='dispositions', to='fraud.workitem'),
        ),
        migrations.AddField(
            model_name='disposition',
            name='site',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='accounts.site'),
        ),
        migrations.AddField(
            model_name='act',
            name='disposition',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='acts', to='fraud.disposition'),
        ),
        migrations.AddField(
            model_name='fraudlabel',
            name='disposition',
            field=models.ForeignKey(blank=True, db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='labels', to='fraud.disposition'),
        ),
        migrations.AddConstraint(
            model_name='fraudlabel',
            constraint=models.UniqueConstraint(condition=models.Q(('disposition', None)), fields=('transaction', 'source', 'fraud', 'raw_code'), name='label_said_once'),
        ),
        migrations.AddConstraint(
            model_name='fraudlabel',
            constraint=models.UniqueConstraint(condition=models.Q(('disposition__isnull', False)), fields=('transaction', 'disposition'), name='label_once_a_disposition'),
        ),
        migrations.AddConstraint(
            model_name='fraudlabel',
            constraint=models.CheckConstraint(condition=models.Q(('disposition', None), ('source', 'analyst'), _connector='OR'), name='disposition_of_an_analyst'),
        ),
        migrations.AddField(
            model_name='notice',
            name='transaction',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='notices', to='fraud.transaction'),
        ),
        migrations.AddConstraint(
            model_name='case',
            constraint=models.UniqueConstraint(fields=('site', 'number'), name='case_number_per_site'),
        ),
        migrations.AddConstraint(
            model_name='case',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('closed_at', None), ('closed_by', None)), models.Q(('closed_at__isnull', False), ('closing_by__isnull', False), models.Q(('closed_by', models.F('closing_by')), _negated=True)), _connector='OR'), name='case_closed_by_another'),
        ),
        migrations.AddConstraint(
            model_name='caseentry',
            constraint=models.CheckConstraint(condition=models.Q(('kind__in', ['opened', 'note', 'link', 'alert', 'closing', 'refused', 'closed'])), name='case_entry_known'),
        ),
        migrations.AddConstraint(
            model_name='contactattempt',
            constraint=models.CheckConstraint(condition=models.Q(('channel__in', ['phone', 'sms', 'email', 'app', 'letter', 'other'])), name='contact_channel_known'),
        ),
        migrations.AddConstraint(
            model_name='contactattempt',
            constraint=models.CheckConstraint(condition=models.Q(('outcome__in', ['not_reached', 'message_left', 'confirmed', 'denied', 'unsure', 'refused'])), name='contact_outcome_known'),
        ),
        migrations.AddIndex(
            model_name='contest',
            index=models.Index(condition=models.Q(('settled_at', None)), fields=['site', 'opened_at'], name='contests_open'),
        ),
        migrations.AddConstraint(
            model_name='contest',
            constraint=models.UniqueConstraint(fields=('source', 'contest_id'), name='contest_once'),
        ),
        migrations.AddConstraint(
            model_name='contest',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('outcome', ''), ('settled_at', None), ('settled_by', None)), models.Q(('outcome__in', ['upheld', 'overturned']), ('settled_at__isnull', False), ('settled_by__isnull', False)), _connector='OR'), name='contest_settled_by_a_person'),
        ),
        migrations.AddField(
            model_name='withdrawal',
            name='by',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddIndex(
            model_name='disposition',
            index=models.Index(fields=['site', '-id'], name='dispositions_newest'),
        ),
        migrations.AddConstraint(
            model_name='disposition',
            constraint=models.CheckConstraint(condition=models.Q(('verdict__in', ['fraud', 'legitimate', 'cannot_tell', 'duplicate'])), name='verdict_known'),
        ),
        migrations.AddConstraint(
            model_name='disposition',
            constraint=models.CheckConstraint(condition=models.Q(('reason__in', ['holder_denies', 'holder_confirms', 'issuer_says', 'pattern', 'card_testing', 'usual', 'travel', 'merchant_confirms', 'not_reached', 'too_little', 'same_payment', 'same_alert', 'other'])), name='ground_known'),
        ),
        migrations.AddConstraint(
            model_name='disposition',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('verdict', 'fraud'), ('type__in', ['lost', 'stolen', 'not_received', 'false_application', 'counterfeit', 'account_takeover', 'card_not_present', 'payer_manipulation', 'first_party', 'merchant_misrepresentation', 'other'])), models.Q(models.Q(('verdict', 'fraud'), _negated=True), ('type', '')), _connector='OR'), name='fraud_has_a_type'),
        ),
        migrations.AddConstraint(
            model_name='act',
            constraint=models.CheckConstraint(condition=models.Q(('kind__in', ['release', 'block', 'list'])), name='act_known'),
        ),
        migrations.AddConstraint(
            model_name='notice',
            constraint=models.UniqueConstraint(fields=('transaction', 'source', 'kind', 'raw_code'), name='notice_told_once'),
        ),
        migrations.AddConstraint(
            model_name='notice',
            constraint=models.CheckConstraint(condition=models.Q(('kind__in', ['dispute', 'processing', 'authorization', 'program', 'unmapped', 'not_upheld'])), name='notice_kind_known'),
        ),
        migrations.AddConstraint(
            model_name='notice',
            constraint=models.CheckConstraint(condition=models.Q(('source__in', ['analyst', 'cardholder', 'issuer', 'tc40', 'safe', 'chargeback'])), name='notice_source_known'),
        ),
        migrations.RunPython(add_triggers, drop_triggers),
        migrations.RunPython(migrations.RunPython.noop, tell_apart),
    ]
