"""A camera or a listener in a process of its own, to be killed or stopped by the tests.

    python peer_process.py camera --namespace /ns [--topic image] [--rate 20] [--garbage]
    python peer_process.py listener --namespace /ns --topics relative/image relative/points

A camera writes a dot for each frame before it is sent; a listener writes a dot for each message.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from node_graph import OUTPUTS, noise, set_stamp  # noqa: E402
from ros_graph import RELIABLE_QOS, Peer, ros_camera_info, ros_image, until  # noqa: E402


def dot() -> None:
    sys.stdout.write(".")
    sys.stdout.flush()


def camera(peer: Peer, options: argparse.Namespace) -> None:
    """Plays frames with stamps of the system clock until it is killed."""
    prefix = f"{options.name}/" if options.name else ""
    images = peer.node.create_publisher(type(ros_image(noise(2, 2), "rgb8")), f"{prefix}image", 1)
    infos = peer.node.create_publisher(type(ros_camera_info(2, 2)), f"{prefix}camera_info", 1)
    width, height = options.size
    image, info = ros_image(noise(width, height), "rgb8"), ros_camera_info(width, height)
    broken = itertools.cycle(garbage(image)) if options.garbage else None
    until(images.get_subscription_count, 60, "nobody subscribes to the camera")
    started = time.monotonic()
    for number in itertools.count(1):
        message = image if broken is None else next(broken)
        info.header = set_stamp(message, time.time()).header
        dot()
        infos.publish(info)
        images.publish(message)
        time.sleep(max(0.0, started + number / options.rate - time.monotonic()))


def garbage(image) -> list:
    """Images that no driver should send."""
    short = ros_image(noise(64, 48), "rgb8")
    short.data = short.data[:1000]
    lying = ros_image(noise(64, 48), "rgb8")
    lying.width = 4_000_000_000
    return [short, lying, ros_image(noise(64, 48), "no_such"), ros_image(noise(16, 16), "rgb8")]


def listener(peer: Peer, options: argparse.Namespace) -> None:
    """Takes messages until it is killed."""
    for topic in options.topics:
        kind = next(t for name, t in OUTPUTS.items() if f"/{topic}".endswith(f"/{name}"))
        peer.node.create_subscription(kind, topic, lambda _message: dot(), RELIABLE_QOS)
    while True:
        time.sleep(1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("role", choices=("camera", "listener"))
    parser.add_argument("--namespace", required=True)
    parser.add_argument("--name", default="", help="of the camera")
    parser.add_argument("--size", nargs=2, type=int, default=(640, 480))
    parser.add_argument("--rate", type=float, default=20.0)
    parser.add_argument("--garbage", action="store_true")
    parser.add_argument("--topics", nargs="*", default=())
    options = parser.parse_args()
    peer = Peer(options.namespace)
    {"camera": camera, "listener": listener}[options.role](peer, options)


if __name__ == "__main__":
    main()
