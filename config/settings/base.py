"""Settings every environment shares: one block per concern, a clear failure on a bad value."""

from __future__ import annotations

import os
from pathlib import Path
from socket import gethostname

import dj_database_url
from celery.schedules import schedule
from kombu import Queue

from config.settings.accounts import *  # noqa: F403
from config.settings.env import (
    bool_env,
    choice_env,
    env,
    int_env,
    keys_env,
    list_env,
    networks_env,
    origins_env,
    secret_env,
    socket_path,
    zone_env,
)

# --- Places -------------------------------------------------------------------------------------
BASE_DIR = Path(__file__).resolve().parent.parent.parent
VAR_DIR = Path(env("LYNCEUS_VAR", str(BASE_DIR / "var"))).resolve()

# --- Secrets ------------------------------------------------------------------------------------
SECRET_KEY = secret_env("LYNCEUS_SECRET_KEY", VAR_DIR)
AUDIT_KEY = secret_env("LYNCEUS_AUDIT_KEY", VAR_DIR)
LYNCEUS_ARCHIVE_KEY = secret_env("LYNCEUS_ARCHIVE_KEY", VAR_DIR)
LYNCEUS_ARCHIVE_TRUSTED = keys_env("LYNCEUS_ARCHIVE_TRUSTED")
AUDIT_HEAD_PATH = Path(env("LYNCEUS_AUDIT_HEAD", str(VAR_DIR / "audit" / "head.json")))

# --- The product --------------------------------------------------------------------------------
LYNCEUS_DEMO = bool_env("LYNCEUS_DEMO", False)
LYNCEUS_DEMO_GATE = env("LYNCEUS_DEMO_GATE", "")
LYNCEUS_MFA_ROLES = list_env("LYNCEUS_MFA_ROLES", [])
LYNCEUS_METRICS_TOKEN = env("LYNCEUS_METRICS_TOKEN", "")
LYNCEUS_DEVICE = choice_env("LYNCEUS_DEVICE", "auto", ("auto", "cuda", "mps", "cpu"))
LYNCEUS_DEVICE_HOST = env("LYNCEUS_DEVICE_HOST", gethostname())[:80]
LYNCEUS_BACKBONE_DIR = Path(env("LYNCEUS_BACKBONE_DIR", str(VAR_DIR / "weights")))
LYNCEUS_GATE_FILM_MS = int_env("LYNCEUS_GATE_FILM_MS", 1000, low=1, high=600_000)
LYNCEUS_GATE_TRANSACTION_MS = int_env("LYNCEUS_GATE_TRANSACTION_MS", 20, low=1, high=10_000)
LYNCEUS_GATE_SLOWER_PERCENT = int_env("LYNCEUS_GATE_SLOWER_PERCENT", 50, low=0, high=10_000)
LYNCEUS_COMMIT = env("LYNCEUS_COMMIT", "")  # an image holds no repository to ask
IDLE_LOGOUT_S = int_env("LYNCEUS_IDLE_LOGOUT_S", 1800, low=60, high=86_400)
LYNCEUS_TRUSTED_PROXIES = int_env("LYNCEUS_TRUSTED_PROXIES", 0, low=0, high=10)

# --- Transactions ---------------------------------------------------------------------------------
LYNCEUS_PENDING_MAX = int_env("LYNCEUS_PENDING_MAX", 200_000, low=1, high=100_000_000)
LYNCEUS_REALTIME_WORKERS = int_env("LYNCEUS_REALTIME_WORKERS", 1, low=1, high=16)
LYNCEUS_CALLER_CACHE_S = int_env("LYNCEUS_CALLER_CACHE_S", 1, low=0, high=60)
LYNCEUS_MODEL_RETRY_S = int_env("LYNCEUS_MODEL_RETRY_S", 30, low=1, high=3600)
LYNCEUS_WEBHOOK_ALLOW = networks_env("LYNCEUS_WEBHOOK_ALLOW")
LYNCEUS_DUE_LOSS_MIN = int_env("LYNCEUS_DUE_LOSS_MIN", 60, low=1, high=10_080)
LYNCEUS_DUE_FRICTION_MIN = int_env("LYNCEUS_DUE_FRICTION_MIN", 240, low=1, high=10_080)
LYNCEUS_DISK_MIN_MB = int_env("LYNCEUS_DISK_MIN_MB", 512, low=0, high=1_000_000)

# --- DICOM --------------------------------------------------------------------------------------
LYNCEUS_DICOM_HOST = env("LYNCEUS_DICOM_HOST", "127.0.0.1")
LYNCEUS_DICOM_PORT = int_env("LYNCEUS_DICOM_PORT", 11112, low=1, high=65535)
LYNCEUS_DICOM_AET = env("LYNCEUS_DICOM_AET", "LYNCEUS")
LYNCEUS_DICOM_FILE_MAX_MB = int_env("LYNCEUS_DICOM_FILE_MAX_MB", 256, low=1, high=4096)
LYNCEUS_UPLOAD_MAX_MB = int_env("LYNCEUS_UPLOAD_MAX_MB", 1024, low=1, high=16_384)
LYNCEUS_STUDY_QUIET_S = int_env("LYNCEUS_STUDY_QUIET_S", 10, low=0, high=3600)
LYNCEUS_DECODE_MEMORY_MB = int_env("LYNCEUS_DECODE_MEMORY_MB", 2048, low=256, high=65_536)
LYNCEUS_DECODERS = int_env("LYNCEUS_DECODERS", min(4, os.cpu_count() or 1), low=1, high=32)
LYNCEUS_DICOMWEB_ORIGINS = origins_env("LYNCEUS_DICOMWEB_ORIGINS")
LYNCEUS_DECODE_TIMEOUT_S = int_env("LYNCEUS_DECODE_TIMEOUT_S", 60, low=1, high=240)

# --- Database -----------------------------------------------------------------------------------
DATABASE_URL = env("DATABASE_URL", f"sqlite:///{VAR_DIR / 'lynceus.sqlite3'}")
DATABASES = {"default": dj_database_url.parse(DATABASE_URL, conn_max_age=60, conn_health_checks=True)}
if DATABASES["default"]["ENGINE"].endswith("postgresql"):
    # apps/core/sql.py keeps its plans on the server. One made for any values goes by the indexes, also in a
    # young table of which nothing is known yet.
    OPTIONS = DATABASES["default"].setdefault("OPTIONS", {})
    OPTIONS["options"] = f"{OPTIONS.get('options', '')} -c plan_cache_mode=force_generic_plan".strip()
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    # IMMEDIATE: a transaction that reads then writes takes the write lock at once, so two
    # writers wait for each other instead of one failing with "database is locked".
    DATABASES["default"]["OPTIONS"] = {
        "timeout": 30,
        "transaction_mode": "IMMEDIATE",
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA busy_timeout=30000;",
    }
# In the database, so that what counts wrong codes and remembers used ones holds for every web process.
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.db.DatabaseCache",
        "LOCATION": "core_cache",
        "OPTIONS": {"MAX_ENTRIES": 100_000},
    }
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# --- Applications -------------------------------------------------------------------------------
INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "axes",
    "django_htmx",
    "django_vite",
    "ninja",
    "apps.core",
    "apps.accounts",
    "apps.audit",
    "apps.modelops",
    "apps.radiology",
    "apps.fraud",
]
MIDDLEWARE = [
    "apps.core.metrics.count_requests",
    "apps.core.middleware.request_id",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "apps.core.middleware.content_security_policy",
    "apps.core.middleware.page_methods",
    "apps.radiology.api.cors.dicomweb_origins",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "apps.accounts.middleware.no_store",
    "apps.accounts.middleware.idle_logout",
    "apps.accounts.middleware.site_time",
    "apps.accounts.middleware.require_mfa",
    "apps.core.middleware.problem_details",
    "axes.middleware.AxesMiddleware",
]
ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "apps.core.context.shell",
            ],
        },
    },
]

# --- Time and language --------------------------------------------------------------------------
USE_TZ = True
TIME_ZONE = zone_env("LYNCEUS_TIME_ZONE", "UTC")
USE_I18N = False
LANGUAGE_CODE = "en"
FORMAT_MODULE_PATH = ["config.formats"]

# --- Static files -------------------------------------------------------------------------------
STATIC_URL = "/static/"
STATIC_ROOT = BASE_DIR / "staticfiles"
STATICFILES_DIRS = [BASE_DIR / "frontend" / "static", BASE_DIR / "frontend" / "dist"]
DJANGO_VITE = {
    "default": {
        "dev_mode": False,
        "manifest_path": BASE_DIR / "frontend" / "dist" / ".vite" / "manifest.json",
    }
}
WHITENOISE_USE_FINDERS = True

# --- Request limits -----------------------------------------------------------------------------
DATA_UPLOAD_MAX_MEMORY_SIZE = 4 * 1024 * 1024
DATA_UPLOAD_MAX_NUMBER_FILES = 500
FILE_UPLOAD_TEMP_DIR = None
FILE_UPLOAD_HANDLERS = [
    "apps.core.uploads.Capped",
    "django.core.files.uploadhandler.TemporaryFileUploadHandler",
]
FILE_UPLOAD_PERMISSIONS = 0o600

# --- Celery: the broker is a bell, the database holds the truth ------------------------------------
REDIS_URL = env("REDIS_URL", f"redis+socket://{socket_path(VAR_DIR)}")
CELERY_BROKER_URL = REDIS_URL
CELERY_RESULT_BACKEND = None
CELERY_TASK_IGNORE_RESULT = True
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_SERIALIZER = "json"
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = False  # the sweeper re-rings; a poison message must not loop
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "visibility_timeout": 3600,
    "socket_timeout": 5,
    "socket_connect_timeout": 1,
    # A bell is rung once: with the broker away a caller must not wait, and the sweeper rings again.
    "max_retries": 0,
    "interval_start": 0,
}
CELERY_TASK_DEFAULT_QUEUE = "default"
CELERY_TASK_QUEUES = [
    Queue(name) for name in ("realtime", "imaging", "training", "exchange", "shadow", "default")
]
CELERY_TASK_ROUTES = {
    "fraud.decide_pending": {"queue": "realtime"},
    "fraud.deliver_decisions": {"queue": "default"},
    "fraud.gather_alerts": {"queue": "default"},
    "fraud.work_out_budgets": {"queue": "default"},
    "fraud.make_labels": {"queue": "default"},
    "fraud.run_backtest": {"queue": "default"},
    "fraud.count_hours": {"queue": "default"},
    "fraud.follow_decisions": {"queue": "shadow"},
    "radiology.analyse_instance": {"queue": "imaging"},
    "radiology.follow_analyses": {"queue": "shadow"},
    "radiology.make_results": {"queue": "default"},
    "radiology.make_reports": {"queue": "default"},
    "radiology.send_reports": {"queue": "exchange"},
    "radiology.fetch_priors": {"queue": "exchange"},
    "radiology.make_exports": {"queue": "exchange"},
    "modelops.run_next_job": {"queue": "training"},
    "modelops.check_at_gate": {"queue": "training"},
    "modelops.freeze_dataset": {"queue": "exchange"},
    "modelops.compare_versions": {"queue": "default"},
    "modelops.watch": {"queue": "default"},
    "modelops.deliver_alarms": {"queue": "exchange"},
}
CELERY_TASK_TIME_LIMIT = 300
CELERY_TASK_SOFT_TIME_LIMIT = 270
CELERY_BEAT_SCHEDULE_FILENAME = str(VAR_DIR / "celerybeat-schedule")
BEAT_PULSE_PATH = VAR_DIR / "beat-alive"
CELERY_BEAT_SCHEDULE = {
    "core.sweep": {"task": "core.sweep", "schedule": schedule(5.0), "options": {"expires": 10}},
    "audit.seal": {"task": "audit.seal", "schedule": schedule(3.0), "options": {"expires": 6}},
    "fraud.count": {"task": "fraud.count_hours", "schedule": schedule(10.0), "options": {"expires": 20}},
}

# --- Logging ------------------------------------------------------------------------------------
LOG_LEVEL = env("LYNCEUS_LOG_LEVEL", "INFO")
LOG_JSON = bool_env("LYNCEUS_LOG_JSON", False)
LOGGING_CONFIG = "apps.core.logging.configure"
LOGGING = {"level": LOG_LEVEL, "json": LOG_JSON}
SILENCED_SYSTEM_CHECKS = ["axes.W003"]
