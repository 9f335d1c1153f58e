from __future__ import annotations

import signal
import tempfile
import threading
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from apps.radiology.common.store import incoming_folder
from apps.radiology.intake.listener import start_listener


class Command(BaseCommand):
    help = "Receive films by DICOM C-STORE until stopped."

    def handle(self, *args: Any, **options: Any) -> None:
        # What an association that breaks leaves half received lies among the films, and is cleared there.
        tempfile.tempdir = str(incoming_folder())
        stopped = threading.Event()
        for name in (signal.SIGTERM, signal.SIGINT):
            signal.signal(name, lambda *_: stopped.set())
        try:
            server = start_listener()
        except OSError as error:
            raise CommandError(
                f"Port {settings.LYNCEUS_DICOM_PORT} cannot be listened on: {error.strerror}."
            ) from None
        address = f"{settings.LYNCEUS_DICOM_HOST}:{settings.LYNCEUS_DICOM_PORT}"
        self.stdout.write(f"DICOM {settings.LYNCEUS_DICOM_AET} listens on {address}.")
        self.stdout.flush()
        stopped.wait()
        server.shutdown()
