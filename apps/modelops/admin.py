"""Datasets, jobs and versions in the admin, to be read there: each leads to its page, a dataset to the one
form that asks for training."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html

from apps.accounts.admin import SiteBound
from apps.accounts.models import Role
from apps.modelops.models import DatasetSnapshot, ModelVersion, TrainingJob


class _ReadOnly(SiteBound):
    kept_by = Role.ML_ADMIN
    ordering = ("-id",)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


@admin.register(DatasetSnapshot)
class DatasetAdmin(_ReadOnly):
    list_display = ("name", "domain", "site", "created_at", "page", "train")
    list_filter = ("domain",)
    search_fields = ("name",)
    readonly_fields = ("page", "train")

    @admin.display(description="Page")
    def page(self, dataset: DatasetSnapshot) -> str:
        return _link(reverse("modelops:dataset", args=[dataset.pk]), "Open")

    @admin.display(description="Training")
    def train(self, dataset: DatasetSnapshot) -> str:
        form = reverse("modelops:new_job", args=[dataset.domain])
        return _link(f"{form}?dataset={dataset.pk}", "Train on it")


@admin.register(TrainingJob)
class TrainingJobAdmin(_ReadOnly):
    list_display = ("id", "domain", "dataset", "preset", "status", "site", "created_at", "page")
    list_filter = ("domain", "status")
    list_select_related = ("dataset", "site")
    readonly_fields = ("page",)

    @admin.display(description="Page")
    def page(self, job: TrainingJob) -> str:
        return _link(reverse("modelops:job", args=[job.pk]), "Open")


@admin.register(ModelVersion)
class ModelVersionAdmin(_ReadOnly):
    list_display = ("number", "model", "dataset", "created_at", "page")
    list_filter = ("model__domain",)
    list_select_related = ("model", "dataset")
    readonly_fields = ("page",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """A version belongs to the site of the data it learnt from."""
        rows = admin.ModelAdmin.get_queryset(self, request)
        user = request.user
        return rows if user.is_superuser else rows.filter(dataset__site=user.site)  # type: ignore[union-attr]

    @admin.display(description="Page")
    def page(self, version: ModelVersion) -> str:
        return _link(reverse("modelops:version", args=[version.pk]), "Open")


def _link(address: str, words: str) -> str:
    return format_html('<a href="{}">{}</a>', address, words)
