"""Accounts, service accounts and sites, kept by an operator for their own site, by a superuser for all."""

from __future__ import annotations

from typing import Any, ClassVar

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from django import forms
from django.contrib import admin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.forms import BaseUserCreationForm, UserChangeForm
from django.contrib.auth.models import Group
from django.db import transaction
from django.db.models import Model, Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import URLPattern, path, reverse

from apps.accounts.auth import may_enter_admin
from apps.accounts.models import SCOPES, ApiClient, Role, Site, User
from apps.accounts.services import lift_lock, remove_second_factor, rotate_secret
from apps.core.clock import now

# Their rows are secrets, or belong to doors that are shut.
for unused in (Group, EmailAddress, Authenticator):
    admin.site.unregister(unused)
admin.site.disable_action("delete_selected")
admin.site.has_permission = may_enter_admin  # type: ignore[method-assign]
admin.site.site_header = "Lynceus: admin"
admin.site.site_title = "Lynceus"
admin.site.index_title = "Accounts and senders"


class SiteBound(admin.ModelAdmin):  # type: ignore[type-arg]
    """Rows with a `site`. Nothing is deleted: what the audit names stays, and is switched off."""

    kept_by = Role.OPERATOR

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows = super().get_queryset(request)
        user = request.user
        return rows if user.is_superuser else rows.filter(site=user.site)  # type: ignore[union-attr]

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        user = request.user
        if db_field.name == "site" and not user.is_superuser:
            kwargs["queryset"] = Site.objects.filter(pk=user.site_id)  # type: ignore[union-attr]
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    def _may(self, request: HttpRequest, obj: Model | None = None) -> bool:
        user = request.user
        if not isinstance(user, User) or not user.is_active:
            return False
        mine = obj is None or getattr(obj, "site_id", None) in (None, user.site_id)
        return user.is_superuser or (user.role == self.kept_by and mine)

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self._may(request)

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return self._may(request, obj)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return self._may(request)

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return self._may(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


class _LowerEmail:
    def clean_email(self) -> str:
        return str(self.cleaned_data["email"]).lower()  # type: ignore[attr-defined]


class UserAddForm(_LowerEmail, BaseUserCreationForm):  # type: ignore[type-arg]
    class Meta:
        model = User
        fields = ("email", "full_name", "site", "role")


class UserEditForm(_LowerEmail, UserChangeForm):  # type: ignore[type-arg]
    class Meta:
        model = User
        fields = "__all__"
        field_classes: ClassVar[dict[str, Any]] = {}


@admin.register(User)
class UserAdmin(SiteBound, DjangoUserAdmin):  # type: ignore[type-arg]
    form = UserEditForm
    add_form = UserAddForm
    list_display = ("email", "full_name", "role", "site", "is_active", "last_login")
    list_filter = ("role", "is_active")
    search_fields = ("email", "full_name")
    ordering = ("email",)
    filter_horizontal = ()
    readonly_fields = ("last_login", "date_joined")
    add_fieldsets = ((None, {"fields": ("email", "full_name", "site", "role", "password1", "password2")}),)
    fieldsets = (
        (None, {"fields": ("email", "full_name", "password")}),
        ("Place", {"fields": ("site", "role", "is_active")}),
        ("History", {"fields": ("last_login", "date_joined")}),
    )
    actions = ("lift_locks", "remove_second_factors")

    def get_fieldsets(self, request: HttpRequest, obj: User | None = None) -> Any:
        found = super().get_fieldsets(request, obj)
        if obj is None or not request.user.is_superuser:
            return found
        return (*found, ("Superuser", {"fields": ("is_superuser",)}))

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows = super().get_queryset(request)
        return rows if request.user.is_superuser else rows.filter(is_superuser=False)

    @admin.action(description="Lift the lock after wrong passwords")
    def lift_locks(self, request: HttpRequest, users: QuerySet[User]) -> None:
        for user in users:
            with transaction.atomic():
                lift_lock(user)
                self.log_change(request, user, _changed("sign-in lock lifted"))
        self.message_user(request, "Locks lifted.")

    @admin.action(description="Remove the second factor (lost device)")
    def remove_second_factors(self, request: HttpRequest, users: QuerySet[User]) -> None:
        for user in users:
            with transaction.atomic():
                remove_second_factor(user, by=request.user)  # type: ignore[arg-type]
                self.log_change(request, user, _changed("second factor removed"))
        self.message_user(request, "Second factors removed: their roles ask for new ones at sign-in.")


class ApiClientForm(forms.ModelForm):  # type: ignore[type-arg]
    scopes = forms.MultipleChoiceField(choices=SCOPES, widget=forms.CheckboxSelectMultiple)

    class Meta:
        model = ApiClient
        fields = ("site", "name", "scopes", "source_slug", "is_active", "trusted_for_corrections")


@admin.register(ApiClient)
class ApiClientAdmin(SiteBound):
    """A service account. Its token is shown once, on the page that made it."""

    form = ApiClientForm
    list_display = ("name", "site", "scopes", "is_active", "valid_secrets")
    list_filter = ("is_active",)
    readonly_fields = ("valid_secrets",)

    @admin.display(description="Valid secrets")
    def valid_secrets(self, client: ApiClient) -> str:
        valid = client.secrets.filter(Q(expires_at=None) | Q(expires_at__gt=now())).order_by("-pk")
        ends = [f"ends {one.expires_at:%Y-%m-%d %H:%M} UTC" if one.expires_at else "current" for one in valid]
        return ", ".join(ends) or "none"

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.rotate)
        return [path("<int:pk>/rotate/", view, name="accounts_apiclient_rotate"), *super().get_urls()]

    def response_add(self, request: HttpRequest, obj: ApiClient, *args: Any, **kwargs: Any) -> HttpResponse:
        """A new client goes on to its first secret."""
        return HttpResponseRedirect(reverse("admin:accounts_apiclient_rotate", args=[obj.pk]))

    def rotate(self, request: HttpRequest, pk: int) -> HttpResponse:
        client = self.get_queryset(request).filter(pk=pk).first()
        if client is None or not self.has_change_permission(request, client):
            raise Http404
        token = ""
        if request.method == "POST":
            with transaction.atomic():
                token = rotate_secret(client)
                self.log_change(request, client, _changed("secret"))
        context = {
            **self.admin_site.each_context(request),
            "title": f"Secret of {client}",
            "opts": self.opts,
            "client": client,
            "token": token,
        }
        return render(request, "admin/accounts/apiclient/rotate.html", context)


@admin.register(Site)
class SiteAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = ("name", "slug")

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


def _changed(field: str) -> list[dict[str, Any]]:
    return [{"changed": {"fields": [field]}}]
