"""The store of camera_info messages: exact stamps, else the latest, with their age."""

from __future__ import annotations

import threading

import pytest
from ros_messages import Time, camera_info, header

from depth_distill_ros.ros.camera_info import CameraInfoStore


def stamped(seconds: int, nanoseconds: int = 0) -> object:
    info = camera_info()
    info.header = header(seconds, nanoseconds)
    return info


def test_an_empty_store_has_no_match():
    store = CameraInfoStore()
    assert store.match(Time(sec=1, nanosec=0)) is None
    store.add(stamped(1))
    store.clear()
    assert store.match(Time(sec=1, nanosec=0)) is None


def test_the_same_stamp_is_found_among_others():
    store, infos = CameraInfoStore(), [stamped(5, n) for n in range(4)]
    for info in infos:
        store.add(info)
    for nanoseconds, info in enumerate(infos):
        found, age = store.match(Time(sec=5, nanosec=nanoseconds))
        assert found is info and age == 0


@pytest.mark.parametrize(
    ("image", "age"),
    [((10, 600_000_000), 0.5), ((9, 900_000_000), -0.2), ((12, 0), 1.9), ((0, 0), -10.1)],
)
def test_else_the_latest_is_found_with_its_age(image, age):
    store = CameraInfoStore()
    store.add(stamped(9, 0))
    store.add(latest := stamped(10, 100_000_000))
    found, seconds = store.match(Time(sec=image[0], nanosec=image[1]))
    assert found is latest and seconds == pytest.approx(age, abs=1e-12)


def test_the_latest_is_what_came_last_when_stamps_go_back():
    store = CameraInfoStore()
    for seconds in (100, 101, 3):
        store.add(last := stamped(seconds))
    found, age = store.match(Time(sec=4, nanosec=0))
    assert found is last and age == 1
    store.add(again := stamped(101))  # the same stamp, as a bag that is played again
    assert store.match(Time(sec=101, nanosec=0))[0] is again
    assert store.match(Time(sec=4, nanosec=0))[0] is again


def test_the_store_is_bounded():
    store = CameraInfoStore(limit=3)
    infos = [stamped(seconds) for seconds in range(10)]
    for info in infos:
        store.add(info)
    exact = [store.match(Time(sec=s, nanosec=0))[0] is infos[s] for s in range(10)]
    assert exact == [False] * 7 + [True] * 3


def test_threads_may_add_and_match_at_once():
    store, failures = CameraInfoStore(limit=5), []
    infos = [stamped(seconds) for seconds in range(300)]

    def match() -> None:
        try:
            for seconds in range(300):
                found = store.match(Time(sec=seconds, nanosec=0))
                assert found is None or found[0].header.stamp.sec - seconds == -round(found[1])
        except Exception as error:
            failures.append(error)

    readers = [threading.Thread(target=match) for _ in range(3)]
    for reader in readers:
        reader.start()
    for info in infos:
        store.add(info)
    for reader in readers:
        reader.join()
    assert not failures
