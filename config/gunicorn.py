"""The web server, in the demo and in production alike."""

import os

host = os.environ.get("LYNCEUS_HOST") or "127.0.0.1"
port = os.environ.get("LYNCEUS_PORT") or "8000"
bind = f"{host}:{port}"
worker_class = "gthread"
workers = int(os.environ.get("LYNCEUS_WEB_WORKERS") or 2)
threads = int(os.environ.get("LYNCEUS_WEB_THREADS") or 8)
timeout = 60
graceful_timeout = 4  # the demo's manager kills what has not ended after five seconds
keepalive = 30
control_socket_disable = True
