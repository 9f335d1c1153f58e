"""Wait until everything answers, send the first data through the real doors, and say where to look.

One of the demo's processes: where it fails the demo ends, with its sentence on the screen.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import django
import httpx

from demo.places import Places

PATIENCE_S = 120.0


def main() -> None:
    django.setup()
    from demo.first_data import send_first_data
    from demo.seed import accounts

    places = Places.from_environment()
    _wait("the web server", lambda: httpx.get(f"{places.base_url}/livez", timeout=2).status_code == 200)
    _wait("the workers", _workers_answer)
    _wait("the DICOM listener", lambda: _dicom_answers(places))
    send_first_data(places)
    _write(places.summary, summary(places))
    _wait("readiness", lambda: httpx.get(f"{places.base_url}/readyz", timeout=5).status_code == 200)
    sys.stdout.write(banner(places, accounts()))
    sys.stdout.flush()
    while True:
        signal.pause()


def _wait(what: str, ready: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        try:
            if ready():
                return
        except (httpx.HTTPError, OSError):
            pass  # not up yet: asked again until the patience ends
        time.sleep(0.2)
    sys.exit(f"{what} did not answer within {PATIENCE_S:.0f} s: see demo.log in the data folder.\n")


def _workers_answer() -> bool:
    from apps.core.status import QUEUES, worker_nodes

    served = {queue for queues in (worker_nodes() or {}).values() for queue in queues}
    return served >= set(QUEUES)


def _dicom_answers(places: Places) -> bool:
    from pynetdicom import AE

    from demo.seed import CALLING_AET

    entity = AE(ae_title=CALLING_AET)
    entity.add_requested_context("1.2.840.10008.1.1")
    association = entity.associate(places.host, places.dicom_port, ae_title=_called_aet())
    if not association.is_established:
        return False
    answer = association.send_c_echo()
    association.release()
    return bool(answer and answer.Status == 0)


def _called_aet() -> str:
    from django.conf import settings

    return str(settings.LYNCEUS_DICOM_AET)


def summary(places: Places) -> dict[str, Any]:
    """What tools need to use the demo; the content of demo.json."""
    from demo import seed

    return {
        "base_url": places.base_url,
        "dicomweb_url": f"{places.base_url}/dicom-web",
        "accounts": seed.credentials(),
        "webhook": {"source": seed.SOURCE, "secret": seed.webhook_secret()},
        "api_token": seed.api_token(),
        "dicom": {
            "host": places.host,
            "port": places.dicom_port,
            "called_aet": _called_aet(),
            "calling_aet": seed.CALLING_AET,
        },
    }


def _write(path: Path, content: dict[str, Any]) -> None:
    """Whole or not at all, for this user alone."""
    temporary = path.with_suffix(".new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump(content, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def banner(places: Places, people: dict[str, Any]) -> str:
    shown = ("radiologist", "analyst", "mladmin", "auditor", "operator")
    logins = "\n".join(
        f"    {people[name].label:<18} {people[name].email:<28} {people[name].password}" for name in shown
    )
    return f"""
Lynceus is ready. Research software: not a medical device. All data here is synthetic.

  Open   {places.base_url}
{logins}

  Try    Radiologist: "Send films", then drop files from {places.films}
         Fraud analyst: watch Alerts and Overview; a day with attacks in it is being played.
             More of it, in another terminal: .venv/bin/python manage.py simulate_day --rate 20
  Keys   {places.summary}     Log  {places.log}
  Stop   Ctrl-C
"""


if __name__ == "__main__":
    main()
