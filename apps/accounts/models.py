"""Sites, people and service accounts. Every study, source, dataset and user belongs to one site."""

from __future__ import annotations

import zoneinfo
from typing import Any, ClassVar

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.models import PermissionsMixin
from django.core.exceptions import ValidationError
from django.db import models


def known_zone(name: str) -> None:
    if name not in zoneinfo.available_timezones():
        raise ValidationError("Give an IANA time zone such as Europe/Berlin.")


class Site(models.Model):
    name = models.CharField(max_length=120, unique=True)
    slug = models.SlugField(max_length=60, unique=True)
    time_zone = models.CharField(
        max_length=64, blank=True, validators=[known_zone], help_text="IANA name. Blank: the installation's."
    )
    is_demo = models.BooleanField(
        default=False, help_text="Its people, clients and sources are refused outside the demo."
    )

    def __str__(self) -> str:
        return self.name


class Role(models.TextChoices):
    RADIOLOGIST = "radiologist", "Radiologist"
    FRAUD_ANALYST = "fraud_analyst", "Fraud analyst"
    ML_ADMIN = "ml_admin", "ML administrator"
    AUDITOR = "auditor", "Auditor"
    OPERATOR = "operator", "Operator"


class UserManager(BaseUserManager):  # type: ignore[type-arg]
    def create_user(self, email: str, password: str | None = None, **fields: Any) -> User:
        user: User = self.model(email=self.normalize_email(email).lower(), **fields)
        user.set_password(password)
        user.save()
        return user

    def create_superuser(self, email: str, password: str | None = None, **fields: Any) -> User:
        if "site" not in fields:
            fields["site"], _ = Site.objects.get_or_create(slug="main", defaults={"name": "Main site"})
        fields = {"role": Role.OPERATOR, **fields, "is_staff": True, "is_superuser": True}
        return self.create_user(email, password, **fields)


class User(AbstractBaseUser, PermissionsMixin):
    email = models.EmailField(unique=True)
    full_name = models.CharField(max_length=150, blank=True)
    site = models.ForeignKey(Site, on_delete=models.PROTECT, related_name="users")
    role = models.CharField(max_length=20, choices=Role.choices)
    is_active = models.BooleanField(default=True)
    is_staff = models.BooleanField(default=False)
    date_joined = models.DateTimeField(auto_now_add=True)

    objects: ClassVar[UserManager] = UserManager()
    USERNAME_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    def __str__(self) -> str:
        return self.email

    def save(self, *args: Any, **kwargs: Any) -> None:
        # The operator keeps accounts and secrets in the admin; no other role has business there.
        self.is_staff = self.is_superuser or self.role == Role.OPERATOR
        super().save(*args, **kwargs)


SCOPES = (("radiology", "Radiology"), ("fraud", "Fraud"))


class ApiClient(models.Model):
    """A service account. Only hashes of its secrets are kept; two may be valid while one rotates."""

    site = models.ForeignKey(Site, on_delete=models.PROTECT, related_name="api_clients")
    name = models.CharField(max_length=80)
    scopes = models.JSONField(default=list, help_text="Any of radiology, fraud.")
    source_slug = models.CharField(max_length=60, blank=True, help_text="Default transaction source.")
    is_active = models.BooleanField(default=True)
    trusted_for_corrections = models.BooleanField(
        default=False,
        help_text="Other patient and study data of known films are taken over unasked.",
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name = "API client"
        constraints: ClassVar = [models.UniqueConstraint(fields=["site", "name"], name="api_client_per_site")]

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        known = {scope for scope, _ in SCOPES}
        if not isinstance(self.scopes, list) or not self.scopes or not set(self.scopes) <= known:
            raise ValidationError({"scopes": f"A list of one or more of {', '.join(sorted(known))}."})


class ApiSecret(models.Model):
    client = models.ForeignKey(ApiClient, on_delete=models.CASCADE, related_name="secrets")
    sha256 = models.CharField(max_length=64, unique=True)
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"secret {self.pk} of {self.client}"
