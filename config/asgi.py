"""The web process: its event loop has the busy doors, and threads have Django's pages.

It never imports torch: see tests/test_architecture.py.
"""

from typing import Any

from a2wsgi import WSGIMiddleware

from apps.fraud.inference import warm
from apps.fraud.shortcut import Receive, Scope, Send, shortcut
from config.settings.env import int_env
from config.wsgi import application as django

_django: Any = django  # its types and a2wsgi's do not know each other
_threads: Any = WSGIMiddleware(_django, workers=int_env("LYNCEUS_WEB_THREADS", 8, low=1, high=256))


async def pages(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "http":
        # In WSGI "X_Forwarded_Proto" would pass for the header with hyphens, which a proxy looks after.
        scope["headers"] = [(name, value) for name, value in scope["headers"] if b"_" not in name]
    await _threads(scope, receive, send)


application = shortcut(pages)
warm()
