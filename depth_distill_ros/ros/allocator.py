"""Memory that stays with the process from one image to the next.

By default glibc gives every block of more than 128 KiB back to the kernel when it is freed, and the
next image's arrays and messages are new pages again, each with a page fault: of the 9 ms that a
640x480 cloud took, 6 were these, and the inference was an eighth slower.
"""

from __future__ import annotations

import contextlib
import ctypes
import os

# Names and numbers of malloc.h.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_LARGEST_BLOCK = 32 << 20  # as much as glibc admits
_KEPT = 512 << 20


def keep_freed_memory() -> bool:
    """Keeps freed blocks of up to 32 MiB, 512 MiB in all; whether it could be set.

    The user's own choice, by the variables MALLOC_…_, stays; other C libraries than glibc as well.
    """
    if any(name.startswith("MALLOC_") for name in os.environ):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):
        return False
    return bool(mallopt(_M_MMAP_THRESHOLD, _LARGEST_BLOCK) and mallopt(_M_TRIM_THRESHOLD, _KEPT))


def give_back_freed_memory() -> None:
    """Gives what was kept back to the kernel, as when a model has gone."""
    with contextlib.suppress(AttributeError, OSError):  # another C library
        ctypes.CDLL(None).malloc_trim(0)
