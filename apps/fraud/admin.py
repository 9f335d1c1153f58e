from django.contrib import admin

from apps.fraud.models import Source


@admin.register(Source)
class SourceAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Secrets are not here: they are shown once, when they are made."""

    list_display = ("slug", "name", "site", "is_active")
    list_filter = ("site", "is_active")
