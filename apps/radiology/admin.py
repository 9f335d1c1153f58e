from django.contrib import admin

from apps.accounts.admin import SiteBound
from apps.radiology.models import DicomNode, ReadingPolicy


@admin.register(DicomNode)
class DicomNodeAdmin(SiteBound):
    list_display = ("AETitle", "site", "is_active", "trusted_for_corrections")


@admin.register(ReadingPolicy)
class ReadingPolicyAdmin(SiteBound):
    list_display = (
        "site", "concurrent", "stat_target_min", "urgent_target_min", "routine_target_min", "exam_age_max_h"
    )  # fmt: skip
