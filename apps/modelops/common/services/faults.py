"""What went wrong in a process of its own, as a code and one sentence for a page."""

from __future__ import annotations

import errno

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


MEMORY = "Training ran out of memory: use a smaller batch."


def said_of(error: Exception, *, code: str = "training_error", memory: str = MEMORY) -> dict[str, str]:
    """`code` and `message`: the work's own words, or what is known of the machine."""
    first = next(iter(str(error).splitlines()), "") or type(error).__name__
    # A graphics card without memory says so in a RuntimeError.
    if isinstance(error, MemoryError) or "out of memory" in first.lower():
        return {"code": "out_of_memory", "message": memory}
    if isinstance(error, OSError):
        # Without the file's name: paths are for the log.
        named = error.strerror or type(error).__name__
        what = "The disk is full" if error.errno in FULL else f"A file failed: {named}"
        return {"code": "disk_failed", "message": f"{what}. What serves is untouched."}
    return {"code": code, "message": first[:500]}
