from typing import Any, ClassVar

from django.contrib import admin
from django.db import models
from django.http import HttpRequest

from apps.accounts.admin import SiteBound
from apps.fraud.models import Source


@admin.register(Source)
class SourceAdmin(SiteBound):
    """Secrets are not here: they are shown once, when they are made."""

    list_display = ("slug", "name", "site", "is_active")
    list_filter = ("is_active",)
    formfield_overrides: ClassVar[dict[Any, Any]] = {models.URLField: {"assume_scheme": "https"}}

    def get_readonly_fields(self, request: HttpRequest, obj: Source | None = None) -> tuple[str, ...]:
        """Its secrets are sealed under the slug, and its transactions belong to the site: neither moves."""
        return ("slug", "site") if obj else ()
