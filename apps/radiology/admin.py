from django.contrib import admin

from apps.accounts.admin import SiteBound
from apps.radiology.models import DicomNode, ReadingPolicy


@admin.register(DicomNode)
class DicomNodeAdmin(SiteBound):
    list_display = ("AETitle", "site", "is_active", "trusted_for_corrections")


@admin.register(ReadingPolicy)
class ReadingPolicyAdmin(SiteBound):
    list_display = ("site", "concurrent", "second_read_rate", "sample_rate")
