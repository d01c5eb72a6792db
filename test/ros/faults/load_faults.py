"""Scenarios of too many frames, of a subscriber that takes none, of a camera that harms another."""

from __future__ import annotations

import time

from node_graph import SIZE, Figures, NodeGraph, noise, set_stamp
from processes import PeerProcess
from ros_graph import ros_camera_info, ros_image, until


def too_many_frames(graph: NodeGraph, frames: int = 1000, times: float = 10.0) -> Figures:
    """Frames at ten times the rate that the node can process; notes: both rates in Hz."""
    started = time.monotonic()
    graph.good_frames(20)
    capacity = 20 / (time.monotonic() - started)
    image, info = ros_image(noise(*SIZE), "rgb8"), ros_camera_info(*SIZE)
    with graph.figures(f"{frames} frames at {times:g} times the rate it can process") as figures:
        started = time.monotonic()
        for number in range(1, frames + 1):
            graph.send(set_stamp(image, graph.next_stamp()), info)
            time.sleep(max(0.0, started + number / (times * capacity) - time.monotonic()))
        rate = frames / (time.monotonic() - started)
        figures.sent += frames + graph.good_frames()
    figures.notes = {"processed Hz": capacity, "sent Hz": rate}
    return figures


def frozen_subscriber(graph: NodeGraph, seconds: float = 4.0, rate: float = 8.0) -> Figures:
    """A subscriber's process stops; notes: which share of the frames another one got meanwhile."""
    topics = ("relative/image", "relative/points")
    listener = PeerProcess(graph, "listener", "--topics", *topics)
    try:
        until(
            lambda: graph.good_frames(1) and listener.sent_or_taken > 20,
            60,
            "the listener gets nothing",
        )
        with graph.figures("a subscriber stops reading (SIGSTOP)") as figures:
            listener.freeze()
            sent, share = play(graph, seconds, rate)
            taken = listener.sent_or_taken
            listener.thaw()
            figures.sent += sent
            deadline = time.monotonic() + 30
            while listener.sent_or_taken < taken + 10 and time.monotonic() < deadline:
                figures.sent += graph.good_frames(1)
            figures.sent += graph.good_frames()
        figures.notes = {"share": share, "taken after": listener.sent_or_taken - taken}
    finally:
        listener.thaw()
        listener.kill()
    return figures


def play(
    graph: NodeGraph, seconds: float, rate: float, camera: str = "", topic: str = "relative/image"
) -> tuple[int, float]:
    """Sends frames at a steady rate; how many, and the share that was answered on a topic."""
    image, info = ros_image(noise(*SIZE), "rgb8"), ros_camera_info(*SIZE)
    answers, sent = graph.seen[topic].stamps, []
    started = time.monotonic()
    for number in range(1, round(seconds * rate) + 1):
        sent.append(graph.next_stamp())
        graph.send(set_stamp(image, sent[-1]), info, camera)
        time.sleep(max(0.0, started + number / rate - time.monotonic()))
    deadline = time.monotonic() + 2.0
    while sent[-1] not in answers[-2:] and time.monotonic() < deadline:
        time.sleep(0.01)
    return len(sent), len(set(sent) & set(answers)) / len(sent)


def one_camera_harms_another(graph: NodeGraph, seconds: float = 3.0, rate: float = 5.0) -> Figures:
    """`rear` plays, dies, sends garbage, dies; notes: the share of `front`'s frames answered."""
    shares = {}
    graph.good_frames(5, "front", ("front/relative/image",))

    def phase(name: str) -> None:
        figures.sent += graph.good_frames(1, "front", ("front/relative/image",))
        sent, shares[name] = play(graph, seconds, rate, "front", "front/relative/image")
        figures.sent += sent

    with graph.figures("one of two cameras dies or sends garbage", "front") as figures:
        for name, more in (("both play", ()), ("rear sends garbage", ("--garbage",))):
            rear = PeerProcess(graph, "camera", "--name", "rear", "--rate", str(rate), *more)
            try:
                rear.until_more(5)
                phase(name)
            finally:
                rear.kill()
            phase("rear is dead")
    rear = graph.good_frames(3, "rear", ("rear/relative/image",))
    figures.notes = {"shares": shares, "rear sent after": rear}
    return figures
