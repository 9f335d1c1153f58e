"""Production: secrets and hosts must be given, traffic is HTTPS, demo mode is refused."""

import os

from django.core.exceptions import ImproperlyConfigured

from config.settings.base import *  # noqa: F403
from config.settings.base import DATABASE_URL, LYNCEUS_DEMO
from config.settings.env import bool_env, env, int_env, list_env

REQUIRED = (
    "LYNCEUS_SECRET_KEY",
    "LYNCEUS_AUDIT_KEY",
    "DATABASE_URL",
    "REDIS_URL",
    "LYNCEUS_ALLOWED_HOSTS",
)
if missing := [name for name in REQUIRED if not os.environ.get(name)]:
    raise ImproperlyConfigured(f"Production needs these environment variables: {', '.join(missing)}.")
if DATABASE_URL.startswith("sqlite"):
    raise ImproperlyConfigured("Production needs PostgreSQL: set DATABASE_URL to postgres://...")
if LYNCEUS_DEMO:
    raise ImproperlyConfigured("LYNCEUS_DEMO is for the demo: production refuses demo accounts and keys.")

DEBUG = False
ALLOWED_HOSTS = list_env("LYNCEUS_ALLOWED_HOSTS", [])
CSRF_TRUSTED_ORIGINS = list_env("LYNCEUS_CSRF_TRUSTED_ORIGINS", [])
# An image may hold the key that its making found nowhere else: it would be everybody's.
LYNCEUS_ARCHIVE_KEY = env("LYNCEUS_ARCHIVE_KEY", "")
LYNCEUS_MFA_ROLES = list_env("LYNCEUS_MFA_ROLES", ["ml_admin", "operator", "auditor"])
SECURE_SSL_REDIRECT = bool_env("LYNCEUS_SSL_REDIRECT", True)
SECURE_REDIRECT_EXEMPT = [r"^livez$", r"^readyz$"]
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SECURE_HSTS_SECONDS = int_env("LYNCEUS_HSTS_S", 31_536_000)
SESSION_COOKIE_SECURE = True
CSRF_COOKIE_SECURE = True
LOG_JSON = bool_env("LYNCEUS_LOG_JSON", True)
LOGGING = {"level": LOG_LEVEL, "json": LOG_JSON}
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}
