"""JPEG and PNG files to pictures, with more care for broken ones than the decoder takes.

OpenCV decodes some broken JPEG files without a word: releases 4 answer a truncated one with
whatever the memory held before, often the last good frame, and every release fills with grey what
a file does not hold that lost a piece in the middle, as packets of a USB camera get lost.
"""

from __future__ import annotations

import cv2
import numpy as np

from depth_distill_ros.errors import MessageError
from depth_distill_ros.ros.pixel_formats import eight_bits

_FLAGS = cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH | cv2.IMREAD_IGNORE_ORIENTATION

_JPEG = b"\xff\xd8\xff"
_START_OF_SCAN = 0xDA
_END_OF_IMAGE = b"\xff\xd9"

_UNDECODED = 128
"""What libjpeg gives out, in every channel, for blocks that the data does not reach."""
_MORE_DATA = bytes(range(1, 255))
"""Entropy-coded data, though of nothing: it has no 0xFF, which would begin a marker."""


def decode(data: bytes) -> np.ndarray:
    """The picture in a JPEG, PNG or other file that OpenCV reads, as uint8 (H, W, 3), RGB.

    16 bits become 8, the full range to 0..255. EXIF orientation is ignored.

    Raises MessageError for data that is empty, truncated, corrupt or of no known kind.
    """
    if not data:
        raise MessageError("the compressed image has no data: check the camera driver")
    end = _end_of_jpeg(data) if data.startswith(_JPEG) else None
    bgr = _imdecode(data)
    if bgr is None:
        raise MessageError(
            f"the compressed image of {len(data)} bytes cannot be decoded: it is truncated, "
            "corrupt, or neither JPEG nor PNG; check the publisher and the connection to the camera"
        )
    if end is not None and _data_ran_out(data, end, bgr):
        raise MessageError(
            "the compressed image is a JPEG that lost a part of its data: check the connection "
            "to the camera (USB bandwidth, cable, network)"
        )
    if bgr.dtype == np.uint16:
        bgr = eight_bits(bgr)
    return cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)


def _imdecode(data: bytes) -> np.ndarray | None:
    """uint8 or uint16 (H, W, 3), BGR; None where OpenCV cannot read it."""
    try:
        bgr = cv2.imdecode(np.frombuffer(data, np.uint8), _FLAGS)
    except cv2.error:  # a size that nobody has memory for, mostly
        return None
    return bgr if bgr is not None and bgr.dtype in (np.uint8, np.uint16) else None


def _end_of_jpeg(data: bytes) -> int:
    """Where the end marker is. Raises MessageError where there is none: the file is truncated."""
    # Segments before the picture's data have a length; one of them may hold a thumbnail, which is
    # a JPEG with an end marker of its own.
    at = len(_END_OF_IMAGE)
    while at + 4 <= len(data) and data[at] == 0xFF and data[at + 1] != _START_OF_SCAN:
        at += 1 if data[at + 1] == 0xFF else 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    end = data.rfind(_END_OF_IMAGE, at)  # cannot be within the data: 0xFF is followed by 0 there
    if end < 0:
        raise MessageError(
            f"the compressed image is a truncated JPEG: its {len(data)} bytes have no end marker; "
            "check the connection to the camera and the size limits of the transport"
        )
    return end


def _data_ran_out(data: bytes, end: int, bgr: np.ndarray) -> bool:
    """Whether the end marker came before the picture's last block was decoded.

    The last pixel is that of an undecoded block then. As it may also be a true grey, the proof is
    a second look with more data before the end: a complete picture does not change by it.
    """
    if (bgr[-1, -1] != _UNDECODED).any():
        return False
    changed = _imdecode(data[:end] + _MORE_DATA + data[end:])
    return changed is None or not np.array_equal(bgr, changed)
