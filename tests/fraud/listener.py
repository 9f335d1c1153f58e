"""A source's own server, for what it is told of decisions."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Listener:
    """A source's own server: remembers what it was sent and answers the statuses it was given."""

    def __init__(self) -> None:
        self.heard: list[tuple[dict[str, str], bytes]] = []
        self.answers: list[int] = []
        listener = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                listener.heard.append(({k.lower(): v for k, v in self.headers.items()}, body))
                self.send_response(listener.answers.pop(0) if listener.answers else 204)
                self.send_header("location", f"{listener.url}/elsewhere")
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/decisions"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()
