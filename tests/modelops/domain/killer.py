"""In the training process: writes down each word of a trainer, or ends the process at a chosen one."""

from __future__ import annotations

import os
import signal
from collections import Counter

from apps.modelops.jobs.services.child import _Voice
from ml.common.contracts import ProgressEvent

WORDS = "TEST_WORDS"  # the file that words are added to
KILL_AT = "TEST_KILL_AT"  # the word at which nobody is asked


def listen() -> None:
    """A word is a phase, an epoch, and how often they were told of in this process."""
    words, kill_at = os.environ.get(WORDS), os.environ.get(KILL_AT)
    if not words and not kill_at:
        return
    told: Counter[tuple[str, int | None]] = Counter()
    honest = _Voice.progress

    def progress(voice: _Voice, event: ProgressEvent) -> None:
        told[event.phase, event.epoch] += 1
        word = f"{event.phase} {event.epoch} {told[event.phase, event.epoch]}"
        if word == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        if words:
            with open(words, "a") as file:
                file.write(word + "\n")
        honest(voice, event)

    _Voice.progress = progress  # type: ignore[method-assign]
