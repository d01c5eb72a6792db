"""The header stamp of serialized messages, without deserializing them.

Every message that begins with a std_msgs/Header begins, in CDR, with 4 bytes of encapsulation
(the second tells the byte order), then `int32 sec` and `uint32 nanosec`.
"""

from __future__ import annotations

import struct

from depth_distill_ros.errors import MessageError

_ENCAPSULATION = 4
_STAMP = slice(_ENCAPSULATION, _ENCAPSULATION + 8)


def header_stamp(raw: bytes | memoryview) -> int:
    """The stamp in nanoseconds. Raises MessageError for data too short to hold one."""
    sec, nanosec = struct.unpack(_byte_order(raw) + "iI", raw[_STAMP])
    return sec * 1_000_000_000 + nanosec


def with_header_stamp(raw: bytes | memoryview, stamp: int) -> bytes:
    """The same message with the stamp, in nanoseconds, replaced. Raises MessageError."""
    order = _byte_order(raw)
    changed = bytearray(raw)
    changed[_STAMP] = struct.pack(order + "iI", *divmod(stamp, 1_000_000_000))
    return bytes(changed)


def _byte_order(raw: bytes | memoryview) -> str:
    if len(raw) < _STAMP.stop:
        raise MessageError(f"a message of {len(raw)} bytes is too short to hold a header stamp")
    return "<" if raw[1] & 1 else ">"
