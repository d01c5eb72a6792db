"""What a run of the graph left behind: who published and received what when, and the messages."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from depth_distill_ros.errors import BagError
from depth_distill_ros.evaluation.bag import open_bag, typestore
from depth_distill_ros.evaluation.metrics import align_affine
from depth_distill_ros.geometry.camera import Intrinsics, project
from depth_distill_ros.ros.cdr import header_stamp

TRIMMED_FITS = 5
"""Least squares, again and again on what fits better than the median, until it settles."""

DEPTH, DEPTH_INFO, CLOUD = "/relative/image", "/relative/camera_info", "/relative/points"


@dataclass(frozen=True)
class Timing:
    """How the node kept up.

    Attributes:
        frames_in: images that the player published.
        frames_out: images that came out, each for one that went in.
        hz: outputs a second between the first and the last output.
        latency_ms: of each output, in order: from the publication of the image to the arrival of
            its depth, both seen from outside the node.
        out_of_order: outputs for an image no newer than one already answered; must be 0.
    """

    frames_in: int
    frames_out: int
    hz: float
    latency_ms: np.ndarray
    out_of_order: int

    @property
    def dropped(self) -> int:
        return self.frames_in - self.frames_out

    def latency_percentile(self, percentile: float) -> float | None:
        """Milliseconds; None where nothing came out."""
        return float(np.percentile(self.latency_ms, percentile)) if self.frames_out else None


@dataclass(frozen=True)
class Run:
    """What is left of a run of the graph.

    Attributes:
        recording: the recorder's bag.
        played: publication time by header stamp of the inputs, nanoseconds of CLOCK_MONOTONIC.
        outputs: header stamps of the depth images that were recorded, in the order of arrival.
        clouds: header stamps of the clouds that were recorded.
    """

    recording: Path
    played: dict[int, int]
    outputs: list[int]
    clouds: list[int]
    timing: Timing


def read_run(recording: Path, player_log: Path, recorder_log: Path) -> Run:
    """Reads the recorder's bag and both logs. Raises BagError where they contradict each other."""
    played = read_player_log(player_log)
    received = read_recorder_log(recorder_log, DEPTH)
    return Run(
        recording=recording,
        played=played,
        outputs=[stamp for stamp, _ in received[: message_count(recording, DEPTH)]],
        clouds=stamps_of(recording, CLOUD),
        timing=join_times(played, received),
    )


def read_player_log(path: Path) -> dict[int, int]:
    """Publication time by header stamp, both nanoseconds, in the order of publication.

    Raises BagError where images share a stamp.
    """
    lines = path.read_text(encoding="ascii").splitlines()
    played = {int(stamp): int(time) for stamp, time in (line.split() for line in lines)}
    if len(played) < len(lines):
        raise BagError(
            f"only {len(played)} of {len(lines)} images have a header stamp of their own: "
            "outputs cannot be matched to them"
        )
    return played


def read_recorder_log(path: Path, topic: str) -> list[tuple[int, int]]:
    """(header stamp, arrival time) of a topic's messages, nanoseconds, in the order of arrival."""
    lines = (line.split() for line in path.read_text(encoding="ascii").splitlines())
    return [(int(stamp), int(time)) for name, stamp, time in lines if f"/{name}" == topic]


def join_times(played: dict[int, int], received: list[tuple[int, int]]) -> Timing:
    """Joins what was played with what came back, by header stamp.

    Raises BagError for an output whose stamp no input had: the node must copy stamps.
    """
    strangers = [stamp for stamp, _ in received if stamp not in played]
    if strangers:
        raise BagError(
            f"{len(strangers)} depth images carry stamps that no image had (first: {strangers[0]})"
        )
    stamps = np.array([stamp for stamp, _ in received], np.int64)
    arrivals = np.array([time for _, time in received], np.int64)
    published = np.array([played[stamp] for stamp, _ in received], np.int64)
    span = float(arrivals[-1] - arrivals[0]) / 1e9 if len(received) > 1 else 0.0
    newest = np.maximum.accumulate(published)
    return Timing(
        frames_in=len(played),
        frames_out=len(set(stamps.tolist())),
        hz=(len(received) - 1) / span if span > 0 else 0.0,
        latency_ms=(arrivals - published) / 1e6,
        out_of_order=int(np.count_nonzero(published[1:] <= newest[:-1])),
    )


def message_count(bag: Path, topic: str) -> int:
    """How many messages a bag has of a topic."""
    with open_bag(bag) as reader:
        return sum(c.msgcount for c in reader.connections if c.topic == topic)


def stamps_of(bag: Path, topic: str) -> list[int]:
    """Header stamps, nanoseconds, of a topic's messages in the order of recording."""
    with open_bag(bag) as reader:
        chosen = [c for c in reader.connections if c.topic == topic]
        recorded = reader.messages(connections=chosen) if chosen else ()
        return [header_stamp(raw) for _, _, raw in recorded]


def messages(bag: Path, topic: str, stamps: set[int] | None = None) -> Iterator[tuple[int, object]]:
    """(header stamp, deserialized message) of a topic, of the given stamps only."""
    with open_bag(bag) as reader:
        chosen = [c for c in reader.connections if c.topic == topic]
        if not chosen:
            return
        for connection, _, raw in reader.messages(connections=chosen):
            stamp = header_stamp(raw)
            if stamps is None or stamp in stamps:
                yield stamp, typestore().deserialize_cdr(raw, connection.msgtype)


def disparity_of(message) -> np.ndarray:
    """float32 (H, W), a copy, of a 32FC1 Image. Raises BagError for another encoding."""
    if message.encoding != "32FC1":
        raise BagError(f"{DEPTH} must be 32FC1, is {message.encoding}")
    order = ">" if message.is_bigendian else "<"
    rows = np.asarray(message.data).view(f"{order}f4").reshape(message.height, message.step // 4)
    return rows[:, : message.width].astype(np.float32)


def cloud_agreement(
    points: np.ndarray, intrinsics: Intrinsics, disparity: np.ndarray
) -> dict[str, float]:
    """How far a cloud is from the depth image of the same stamp.

    points (H, W, 3) metres; disparity (H, W) in [0, 1], whose affine image 1/z must be. `pixels`
    is the distance of a projected point from its own pixel, at worst; `disparity` the residual of
    the fit, in the middle: beside a jump of depth the cloud has the nearest value instead of an
    interpolated one. The fit is that of the better half of the pixels.
    """
    u, v, z = project(points.astype(np.float64), intrinsics)
    rows, columns = np.indices(z.shape)
    seen = np.isfinite(z) & np.isfinite(disparity)
    inverse, expected = 1 / z[seen], disparity[seen]
    better = np.ones(inverse.shape, bool)
    for _ in range(TRIMMED_FITS):
        scale, shift = align_affine(inverse[better], expected[better])
        residuals = np.abs(scale * inverse + shift - expected)
        better = residuals <= np.median(residuals)
    return {
        "pixels": float(np.hypot(u - columns, v - rows)[seen].max()),
        "disparity": float(np.median(residuals)),
    }


def cloud_arrays(cloud: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Points (H, W, 3) float32 and colours (H, W, 3) uint8 of a POINT array."""
    points = np.stack([cloud["x"], cloud["y"], cloud["z"]], axis=-1)
    packed = np.ascontiguousarray(cloud["rgb"]).view("<u4")
    return points, np.stack([packed >> 16 & 255, packed >> 8 & 255, packed & 255], -1).astype("u1")
