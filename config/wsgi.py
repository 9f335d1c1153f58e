"""The web process. It never imports torch: see tests/test_architecture.py."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.production")
django = get_wsgi_application()

from apps.fraud.inference import warm  # noqa: E402 - needs the apps to be ready
from apps.fraud.services.together import open_desk  # noqa: E402
from apps.fraud.shortcut import shortcut  # noqa: E402

application = shortcut(django)
warm()
open_desk()
