"""Send one message after Standard Webhooks: signed, to a checked address, within a time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from datetime import timedelta

import httpx

from apps.core.destinations import Destination, Refused, destination_of
from apps.core.signatures import sign

TIMEOUT_S = 5.0
GONE = 410  # Standard Webhooks: the receiver wants no more of these
# The schedule Standard Webhooks suggests, about three days in all.
WAITS = [timedelta(seconds=s) for s in (5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400)]


def send(url: str, webhook_id: str, body: bytes, secrets: Iterable[str]) -> tuple[int | None, str]:
    """(The status answered, or None; why there is none). `webhook_id` is the same each time it is sent.

    Signed with each of the secrets, so that the receiver may change over when it likes.
    """
    try:
        target, at = destination_of(url), int(time.time())
        headers = {
            "host": target.netloc,
            "content-type": "application/json",
            "user-agent": "Lynceus",
            "webhook-id": webhook_id,
            "webhook-timestamp": str(at),
            "webhook-signature": " ".join(sign(secret, webhook_id, at, body) for secret in secrets),
        }
        return asyncio.run(_post(target, body, headers)), ""
    except Refused as refusal:
        return None, str(refusal)
    except (httpx.HTTPError, httpx.InvalidURL, TimeoutError, ValueError) as failure:
        return None, type(failure).__name__[:40]


async def _post(target: Destination, body: bytes, headers: dict[str, str]) -> int:
    """The status of the answer. Its body is not read, and a redirection not followed.

    TimeoutError after TIMEOUT_S in all: httpx's own limits begin anew with every byte, and only its
    asynchronous client can be cut off from outside.
    """
    extensions = {"sni_hostname": target.host}
    # Proxies of the environment would connect elsewhere than to the checked address.
    async with (
        asyncio.timeout(TIMEOUT_S),
        httpx.AsyncClient(timeout=TIMEOUT_S, follow_redirects=False, trust_env=False) as client,
        client.stream("POST", target.url, content=body, headers=headers, extensions=extensions) as answer,
    ):
        return answer.status_code
