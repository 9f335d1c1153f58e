from django.contrib import admin

from apps.accounts.admin import SiteBound
from apps.radiology.exchange.destination_form import DestinationForm
from apps.radiology.models import (
    Destination,
    DicomNode,
    DicomPeer,
    ReadingPolicy,
    ReportPolicy,
    ReportTemplate,
)


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


@admin.register(ReportPolicy)
class ReportPolicyAdmin(SiteBound):
    list_display = ("site", "organization", "escalate_after_min")


@admin.register(ReportTemplate)
class ReportTemplateAdmin(SiteBound):
    list_display = ("name", "site", "is_active")


@admin.register(Destination)
class DestinationAdmin(SiteBound):
    """Its bearer token is written here and shown nowhere."""

    form = DestinationForm
    list_display = ("name", "site", "AETitle", "stow_url", "sends_results", "is_active")
