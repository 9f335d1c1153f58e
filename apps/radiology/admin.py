from django.contrib import admin

from apps.accounts.admin import SiteBound
from apps.radiology.models import DicomNode


@admin.register(DicomNode)
class DicomNodeAdmin(SiteBound):
    list_display = ("AETitle", "site", "is_active", "trusted_for_corrections")
