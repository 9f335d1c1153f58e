"""Development and demo: loopback only, nothing to configure."""

from config.settings.base import *  # noqa: F403
from config.settings.env import bool_env, list_env

DEBUG = bool_env("LYNCEUS_DEBUG", False)
ALLOWED_HOSTS = list_env("LYNCEUS_ALLOWED_HOSTS", ["localhost", "127.0.0.1", "[::1]"])
CSRF_TRUSTED_ORIGINS = list_env("LYNCEUS_CSRF_TRUSTED_ORIGINS", [])
