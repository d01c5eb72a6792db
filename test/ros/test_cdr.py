"""Header stamps in serialized messages, against a real serializer."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from depth_distill_ros.errors import MessageError
from depth_distill_ros.evaluation.bag import IMAGE, image_message, typestore
from depth_distill_ros.ros.cdr import header_stamp, with_header_stamp

IMAGES = np.zeros((2, 3, 3), np.uint8)


def serialized(sec: int, nanosec: int, little_endian: bool = True) -> bytes:
    message = image_message(IMAGES)
    message.header.stamp.sec, message.header.stamp.nanosec = sec, nanosec
    return bytes(typestore().serialize_cdr(message, IMAGE, little_endian=little_endian))


@pytest.mark.parametrize("little_endian", [True, False])
def test_reads_what_a_serializer_wrote(little_endian):
    assert header_stamp(serialized(12, 345, little_endian)) == 12_000_000_345


@given(stamp=st.integers(0, (2**31 - 1) * 10**9), little_endian=st.booleans())
def test_only_the_stamp_changes(stamp, little_endian):
    changed = with_header_stamp(serialized(1, 2, little_endian), stamp)
    assert header_stamp(changed) == stamp
    assert changed == serialized(stamp // 10**9, stamp % 10**9, little_endian)


def test_data_too_short_for_a_header_is_refused():
    with pytest.raises(MessageError, match="11 bytes"):
        header_stamp(bytes(11))
