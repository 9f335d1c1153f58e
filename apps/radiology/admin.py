from django.contrib import admin

from apps.radiology.models import DicomNode

admin.site.register(DicomNode)
