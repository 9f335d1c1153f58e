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
    list_display = ("site", "concurrent", "second_read_rate", "sample_rate", "analyses_priors")
