"""The web process: its event loop has the busy doors, and threads have Django's pages.

It never imports torch: see tests/test_architecture.py.
"""

import os
from typing import Any

from a2wsgi import WSGIMiddleware
from django.core.wsgi import get_wsgi_application

from config.settings.env import int_env

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.production")
_django: Any = get_wsgi_application()  # its types and a2wsgi's do not know each other
_threads: Any = WSGIMiddleware(_django, workers=int_env("LYNCEUS_WEB_THREADS", 8, low=1, high=256))

from apps.fraud.inference import warm  # noqa: E402 - needs the apps to be ready
from apps.fraud.shortcut import Receive, Scope, Send, shortcut  # noqa: E402


async def pages(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "http":
        # In WSGI "X_Forwarded_Proto" would pass for the header with hyphens, which a proxy looks after.
        scope["headers"] = [(name, value) for name, value in scope["headers"] if b"_" not in name]
    await _threads(scope, receive, send)


application = shortcut(pages)
warm()
