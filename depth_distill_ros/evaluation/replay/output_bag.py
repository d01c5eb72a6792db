"""The output bag: MCAP files that are closed at checkpoints, and one metadata.yaml for all.

rosbag2 knows bags of several files (it splits recordings by size), so readers take the parts in
their order. Until the run is complete there is no metadata.yaml; each closed part has its own in
the folder `parts`.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import yaml

from depth_distill_ros.errors import BagError
from depth_distill_ros.evaluation.bag import open_bag, typestore

NAME = "bag"


class OutputBag:
    """A bag written part by part; parts beyond the first `parts` are of a run that was killed.

    Args:
        folder: gets the folder `bag`.
        topics: message type by topic.
    """

    def __init__(self, folder: Path, topics: dict[str, str], parts: int = 0):
        self.path = folder / NAME
        self.parts = parts
        self._topics = topics
        self._writer: Any | None = None
        self.path.mkdir(parents=True, exist_ok=True)
        for path in [*self.path.glob(f"{NAME}_*"), self.path / "metadata.yaml"]:
            if path.suffix != ".mcap" or int(path.stem.rsplit("_", 1)[1]) >= parts:
                shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)

    def write(self, topic: str, recorded: int, message: Any) -> None:
        """Adds a message; times must not decrease. Raises BagError where the disk is full."""
        raw = typestore().serialize_cdr(message, self._topics[topic])
        try:
            if self._writer is None:
                self._open()
            self._writer.write(self._connections[topic], recorded, raw)
        except OSError as error:
            raise BagError(f"{self.path} cannot be written: {error}") from error

    def _open(self) -> None:
        from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer

        self._writer = Writer(self._scratch, version=9, storage_plugin=StoragePlugin.MCAP)
        self._writer.set_compression(CompressionMode.STORAGE, CompressionFormat.ZSTD)
        self._writer.open()
        self._connections = {
            topic: self._writer.add_connection(topic, message_type, typestore=typestore())
            for topic, message_type in self._topics.items()
        }

    @property
    def _scratch(self) -> Path:
        return self.path / f"{NAME}_{self.parts}"

    def close_part(self) -> None:
        """What was written is whole on the disk afterwards, as one more part."""
        if self._writer is None:
            return
        self._writer.close()
        self._writer = None
        scratch = self._scratch
        os.replace(scratch / f"{scratch.name}.mcap", self.path / f"{scratch.name}.mcap")
        shutil.rmtree(scratch)
        self.parts += 1

    def finish(self) -> None:
        """Closes the last part and makes the folder a bag."""
        self.close_part()
        files = [self.path / f"{NAME}_{number}.mcap" for number in range(self.parts)]
        content = {"rosbag2_bagfile_information": _metadata(files)}
        partial = self.path / "metadata.yaml.partial"
        partial.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
        os.replace(partial, self.path / "metadata.yaml")


def _metadata(files: list[Path]) -> dict[str, Any]:
    """What rosbag2 (version 9 of its format) wants to know of a bag of these files."""
    described, topics = [], {}
    for path in files:
        with open_bag(path) as reader:
            described.append(
                {
                    "path": path.name,
                    "starting_time": {"nanoseconds_since_epoch": reader.start_time},
                    "duration": {"nanoseconds": max(0, reader.end_time - 1 - reader.start_time)},
                    "message_count": reader.message_count,
                }
            )
            for connection in reader.connections:
                entry = topics.setdefault(connection.topic, [connection.msgtype, 0])
                entry[1] += connection.msgcount
    starts = [one["starting_time"]["nanoseconds_since_epoch"] for one in described]
    ends = [start + one["duration"]["nanoseconds"] for start, one in zip(starts, described)]
    start = min(starts, default=0)
    return {
        "version": 9,
        "storage_identifier": "mcap",
        "relative_file_paths": [path.name for path in files],
        "duration": {"nanoseconds": max(ends, default=0) - start},
        "starting_time": {"nanoseconds_since_epoch": start},
        "message_count": sum(one["message_count"] for one in described),
        "topics_with_message_count": [
            {
                "topic_metadata": {
                    "name": topic,
                    "type": message_type,
                    "serialization_format": "cdr",
                    "offered_qos_profiles": [],
                    "type_description_hash": typestore().hash_rihs01(message_type),
                },
                "message_count": count,
            }
            for topic, (message_type, count) in topics.items()
        ],
        "compression_format": "",
        "compression_mode": "",
        "files": described,
        "custom_data": None,
        "ros_distro": "rosbags",
    }
