from django.contrib import admin

from apps.accounts.admin import SiteBound
from apps.fraud.models import Source


@admin.register(Source)
class SourceAdmin(SiteBound):
    """Secrets are not here: they are shown once, when they are made."""

    list_display = ("slug", "name", "site", "is_active")
    list_filter = ("is_active",)
