from django import forms


class AuditFilter(forms.Form):
    action = forms.CharField(required=False, max_length=60)
    actor = forms.RegexField(r"^(user:\d+|client:\d+|system)$", required=False, max_length=40)
    subject = forms.CharField(required=False, max_length=80)
    day = forms.DateField(required=False)
