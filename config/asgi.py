"""The web process: its event loop has the busy doors, and threads have Django's pages.

It never imports torch: see tests/test_architecture.py.
"""

import os
from typing import Any

from a2wsgi import WSGIMiddleware
from django.core.wsgi import get_wsgi_application

from config.web import threads

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.production")
_django: Any = get_wsgi_application()  # its types and a2wsgi's do not know each other
_threads: Any = WSGIMiddleware(_django, workers=threads())

from apps.fraud.api.shortcut import Receive, Scope, Send, shortcut  # noqa: E402
from apps.fraud.serving.inference import warm  # noqa: E402 - needs the apps to be ready


async def pages(scope: Scope, receive: Receive, send: Send) -> None:
    async def received() -> dict[str, Any]:
        return await receive()  # granian's own is no coroutine, which a2wsgi asks for

    if scope["type"] == "http":
        # In WSGI "X_Forwarded_Proto" would pass for the header with hyphens, which a proxy looks after.
        scope["headers"] = [(name, value) for name, value in scope["headers"] if b"_" not in name]
    await _threads(scope, received, send)


application = shortcut(pages)
warm()
