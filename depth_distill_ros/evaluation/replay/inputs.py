"""What a bag holds for a replay: its topics, and its images with what belongs to them.

Messages are read once, in the order of recording. An image waits until the truth, the pose and the
camera_info of its moment must have come, at most PATIENCE of bag time, so that memory holds a few
seconds of the bag however long it is.
"""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from depth_distill_ros.errors import BagError, MessageError
from depth_distill_ros.evaluation.bag import (
    CAMERA_INFO,
    IMAGE,
    POINT_CLOUD,
    ImageTopics,
    camera_info_beside,
    find_images,
    open_bag,
    typestore,
)
from depth_distill_ros.evaluation.replay.poses import Trajectory
from depth_distill_ros.evaluation.replay.transforms import StaticTransforms
from depth_distill_ros.ros.cdr import header_stamp

PATIENCE = 1_000_000_000
"""Nanoseconds of bag time that an image waits for what belongs to it."""

WAITING = 32
"""Images that wait, at most."""

TRUTH_TYPES = {"depth": IMAGE, "lidar": POINT_CLOUD}
"""Message type by the kind of truth."""

POSE_TYPES = (
    "geometry_msgs/msg/PoseStamped",
    "geometry_msgs/msg/PoseWithCovarianceStamped",
    "nav_msgs/msg/Odometry",
)


@dataclass(frozen=True)
class Inputs:
    """The topics of a bag that a replay reads.

    Attributes:
        truth: depth images or clouds; None where only images are read.
        truth_info: camera_info of depth images; None where they share the images'.
        poses: of a topic; None without one.
        trajectory: of a file; empty without one.
        count: images in the bag.
        about: what tells this bag from another, for people and to compare.
    """

    bag: Path
    images: ImageTopics
    truth: str | None
    truth_info: str | None
    poses: str | None
    trajectory: Trajectory | None
    count: int
    about: dict[str, Any]

    @property
    def topics(self) -> set[str]:
        found = {self.images.image, self.images.camera_info, self.truth, self.truth_info}
        return (found | {self.poses}) - {None}


def find_inputs(
    bag: Path,
    image: str | None = None,
    truth: str | None = None,
    truth_type: str = IMAGE,
    poses: str | None = None,
) -> Inputs:
    """The topics asked for, checked. `poses` is a topic or a TUM file.

    Raises BagError for topics that the bag lacks or that hold another type, naming what it has;
    DataError for a file that is no trajectory.
    """
    images = find_images(bag, image, compressed=True)
    trajectory = None
    if poses is not None and Path(poses).is_file():
        trajectory, poses = Trajectory.from_tum(Path(poses)), None
    with open_bag(bag) as reader:
        connections = [c for c in reader.connections if c.msgcount != 0]
        if truth is not None:
            _check(bag, connections, truth, (truth_type,))
        if poses is not None:
            _check(bag, connections, poses, POSE_TYPES)
        infos = [c.topic for c in connections if c.msgtype == CAMERA_INFO]
        truth_info = None
        if truth is not None and truth_type == IMAGE:
            truth_info = camera_info_beside(truth, infos)
        start, messages = reader.start_time, reader.message_count
        about = {"name": bag.name, "messages": messages, "starts": start, "ends": reader.end_time}
        count = sum(c.msgcount for c in connections if c.topic == images.image)
    if truth_info == images.camera_info:
        truth_info = None
    return Inputs(bag, images, truth, truth_info, poses, trajectory, count, about)


def _check(bag: Path, connections: list, topic: str, types: tuple[str, ...]) -> None:
    found = {c.topic: c.msgtype for c in connections}
    if found.get(topic) not in types:
        short = " or ".join(name.rsplit("/", 1)[-1] for name in types)
        fitting = [name for name, kind in found.items() if kind in types]
        what = f"is of type {found[topic]}" if topic in found else "is not there"
        raise BagError(
            f"the bag {bag} has no {short} messages on {topic}, which {what}; "
            f"topics of that type: {', '.join(fitting) or 'none'}"
        )


@dataclass
class Case:
    """An image and what belongs to it; messages are deserialized when they are asked for.

    Attributes:
        number: counts the images that are evaluated, from 0.
        stamp: of its header, nanoseconds; the time of recording where it has none.
        recorded: time of recording, nanoseconds.
        infos: camera_infos that were recorded since the image before.
        pose: 4x4, of the frame `pose_frame` (None: not said) at the stamp; None without.
        lag: nanoseconds that the truth is later than the image; None without.
    """

    number: int
    stamp: int
    recorded: int
    raw_image: tuple[str, bytes]
    raw_truth: tuple[str, bytes] | None = None
    truth_info: Any | None = None
    infos: list[Any] = field(default_factory=list)
    pose: np.ndarray | None = None
    pose_frame: str | None = None
    lag: int | None = None

    @property
    def image(self) -> Any:
        """Raises MessageError where it is damaged."""
        return deserialize(*self.raw_image)

    @property
    def truth(self) -> Any | None:
        """Raises MessageError where it is damaged."""
        return None if self.raw_truth is None else deserialize(*self.raw_truth)

    def camera_pose(
        self, transforms: StaticTransforms, camera: str, frame: str | None = None
    ) -> np.ndarray | None:
        """4x4 of the camera's frame in the world; `frame` is whose pose it is, if not as said.

        Raises BagError where /tf_static does not know where the camera is in that frame.
        """
        frame = frame or self.pose_frame
        if self.pose is None or frame is None:
            return self.pose
        return self.pose @ transforms.lookup(frame, camera)


def deserialize(message_type: str, raw: bytes) -> Any:
    """The message. Raises MessageError for bytes that are none."""
    try:
        return typestore().deserialize_cdr(raw, message_type)
    except Exception as error:  # random bytes raise what they please
        raise MessageError(f"a {message_type} in the bag is damaged: {error}") from error


def cases(
    inputs: Inputs, every: int = 1, tolerance: float = 0.02, limit: int | None = None
) -> Iterator[Case]:
    """Every `every`-th image of the bag, `limit` at most, with what belongs to it.

    tolerance: seconds between an image and its truth, at most. Raises BagError where the bag is
    damaged, when reading comes to that place.
    """
    assembly = _Assembly(inputs, every, round(tolerance * 1e9))
    made = 0
    for topic, message_type, recorded, raw in recorded_messages(inputs.bag, inputs.topics):
        assembly.take(topic, message_type, recorded, raw)
        while (case := assembly.next_case()) is not None:
            yield case
            made += 1
            if made == limit:
                return
    while made != limit and (case := assembly.next_case(at_the_end=True)) is not None:
        yield case
        made += 1


def recorded_messages(bag: Path, topics: set[str]) -> Iterator[tuple[str, str, int, bytes]]:
    """Topic, type, time of recording and message, in the order of the times. Raises BagError."""
    with open_bag(bag) as reader:
        recorded = reader.messages(connections=[c for c in reader.connections if c.topic in topics])
        while True:
            try:
                connection, time, raw = next(recorded)
            except StopIteration:
                return
            except Exception as error:  # a damaged record raises what it pleases
                raise BagError(f"the bag {bag} is damaged: {error}") from error
            yield connection.topic, connection.msgtype, time, raw


class _Assembly:
    """Brings together what comes at different times."""

    def __init__(self, inputs: Inputs, every: int, tolerance: int):
        self._inputs, self._every, self._tolerance = inputs, every, tolerance
        self._images = 0
        self._cases = 0
        self._now = 0
        self._newest_image = 0
        self._waiting: deque[Case] = deque()
        self._truths: deque[tuple[int, int, str, bytes]] = deque()
        self._infos: deque[Any] = deque(maxlen=2 * WAITING)
        self._newest_info: int | None = None
        self._truth_info: Any | None = None
        self._trajectory = inputs.trajectory or Trajectory()

    def take(self, topic: str, message_type: str, recorded: int, raw: bytes) -> None:
        """Adds the next message of the bag."""
        inputs, self._now = self._inputs, recorded
        try:
            stamp = header_stamp(raw)
        except MessageError:
            stamp = recorded
        if topic == inputs.images.image:
            if stamp < self._newest_image:
                self._forget_after(stamp)
            self._newest_image = stamp
            if self._images % self._every == 0:
                case = Case(self._cases, stamp, recorded, (message_type, raw))
                self._waiting.append(case)
                self._cases += 1
            self._images += 1
        elif topic == inputs.truth:
            self._truths.append((recorded, stamp, message_type, raw))
        else:
            # A damaged message is as good as one that was lost.
            with contextlib.suppress(MessageError):
                self._take_small(topic, stamp, deserialize(message_type, raw))
        horizon = self._now - 2 * PATIENCE - self._tolerance
        while self._truths and self._truths[0][0] < horizon:
            self._truths.popleft()

    def _forget_after(self, stamp: int) -> None:
        """The stamps went back, as of a bag played in a loop: what is newer was before that."""
        latest = stamp + self._tolerance
        self._truths = deque(one for one in self._truths if one[1] <= latest)
        self._newest_info = None
        if self._inputs.poses is not None:
            self._trajectory = Trajectory()

    def _take_small(self, topic: str, stamp: int, message: Any) -> None:
        if topic == self._inputs.poses:
            self._trajectory.add(stamp, message)
        elif topic == self._inputs.images.camera_info:
            self._infos.append(message)
            self._newest_info = stamp
        else:
            self._truth_info = message

    def next_case(self, at_the_end: bool = False) -> Case | None:
        """The oldest image, once it need not wait any longer."""
        if not self._waiting:
            return None
        case = self._waiting[0]
        late = self._now - case.recorded > PATIENCE or len(self._waiting) > WAITING
        if not (late or at_the_end or self._is_complete(case.stamp)):
            return None
        self._waiting.popleft()
        self._add_truth(case)
        case.pose, case.pose_frame = self._trajectory.at(case.stamp), self._trajectory.frame
        if self._inputs.poses is not None:
            self._trajectory.forget(case.stamp)
        case.infos = list(self._infos)
        self._infos.clear()
        return case

    def _is_complete(self, stamp: int) -> bool:
        """Whether nothing nearer to the stamp can come: every topic is in order of its stamps."""
        inputs, info = self._inputs, self._newest_info
        return (
            (inputs.truth is None or (bool(self._truths) and self._truths[-1][1] >= stamp))
            and (inputs.truth_info is None or self._truth_info is not None)
            and (inputs.poses is None or self._trajectory.reaches(stamp))
            and (inputs.images.camera_info is None or (info is not None and info >= stamp))
        )

    def _add_truth(self, case: Case) -> None:
        nearest = min(self._truths, key=lambda one: abs(one[1] - case.stamp), default=None)
        if nearest is not None and abs(nearest[1] - case.stamp) <= self._tolerance:
            _, stamp, message_type, raw = nearest
            case.raw_truth, case.truth_info = (message_type, raw), self._truth_info
            case.lag = stamp - case.stamp
