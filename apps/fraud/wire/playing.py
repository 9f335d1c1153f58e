"""What commands that play events to a running server share: whom they speak to, and the signed doors."""

from __future__ import annotations

import json
import os
import time
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx
from django.conf import settings
from django.core.management.base import CommandError, CommandParser

from apps.core.signatures import sign


def add_target(parser: CommandParser) -> None:
    parser.add_argument("--url", default="", help="The server's base URL. Default: the running demo's.")
    parser.add_argument("--source", default="", help="The source's slug. Default: the running demo's.")
    parser.add_argument("--secret-env", default="LYNCEUS_WEBHOOK_SECRET", help="Variable with its secret.")


class Sender:
    """One source that sends, as its options or the demo that runs here say. CommandError where neither do."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        url, self.source, self.secret = _target(options)
        self._client = httpx.Client(base_url=url, timeout=10)

    def __enter__(self) -> Sender:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: Any, trace: TracebackType | None) -> None:
        self._client.close()

    def post(self, door: str, batch: Sequence[Mapping[str, Any]]) -> None:
        """To `transactions` or `labels`. CommandError says what the server would not have."""
        body, webhook_id, at = json.dumps(batch).encode(), f"msg_{uuid.uuid4().hex}", int(time.time())
        headers = {
            "content-type": "application/json",
            "webhook-id": webhook_id,
            "webhook-timestamp": str(at),
            "webhook-signature": sign(self.secret, webhook_id, at, body),
            "lynceus-source": self.source,
        }
        try:
            answer = self._client.post(f"/api/v1/{door}", content=body, headers=headers)
        except httpx.HTTPError as error:
            raise CommandError(f"The server cannot be reached: {type(error).__name__}.") from error
        if answer.status_code != 202:
            raise CommandError(f"The server answered {answer.status_code}: {answer.text[:300]}")


def _target(options: Mapping[str, Any]) -> tuple[str, str, str]:
    """(base URL, source, secret), from the arguments or from the demo that runs here."""
    secret = os.environ.get(options["secret_env"], "")
    if options["url"] and options["source"] and secret:
        return options["url"], options["source"], secret
    try:
        demo = json.loads((Path(settings.VAR_DIR) / "demo.json").read_text())
    except (OSError, ValueError):
        variable = options["secret_env"]
        raise CommandError(
            f"No demo runs here: give --url and --source, and put the source's secret into {variable}."
        ) from None
    source = options["source"] or demo["webhook"]["source"]
    return options["url"] or demo["base_url"], source, secret or demo["webhook"]["secret"]
