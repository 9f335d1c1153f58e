from django.contrib import admin

from apps.accounts.admin import SiteBound
from apps.radiology.models import DicomNode, DicomPeer, ReadingPolicy


@admin.register(DicomNode)
class DicomNodeAdmin(SiteBound):
    list_display = ("AETitle", "site", "is_active", "trusted_for_corrections")


@admin.register(DicomPeer)
class DicomPeerAdmin(SiteBound):
    list_display = ("AETitle", "site", "host", "port", "is_active", "fetches_priors")


@admin.register(ReadingPolicy)
class ReadingPolicyAdmin(SiteBound):
    list_display = (
        "site", "concurrent", "analyses_priors", "second_read_rate", "sample_rate", "stat_target_min",
        "urgent_target_min", "routine_target_min", "exam_age_max_h",
    )  # fmt: skip
