"""Small shards on disk: real files, made here, so that training tests need no renderer."""

from __future__ import annotations

import json
import multiprocessing
import runpy
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def shards(tmp_path_factory) -> Path:
    """24 images of 64×128 whose brightness falls with depth, in two shards; some sky."""
    folder = tmp_path_factory.mktemp("shards")
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[:64, :128]
    for number, count in enumerate((16, 8)):
        slopes = rng.uniform(0.02, 0.2, (count, 2, 1, 1))
        depth = 1 + slopes[:, 0] * rows + slopes[:, 1] * columns
        rgb = np.repeat((255 / depth)[..., None], 3, axis=-1) + rng.normal(0, 5, depth.shape + (3,))
        depth[:, :4] = 0
        name = f"shard-{number:05d}"
        np.save(folder / f"{name}-rgb.npy", rgb.clip(0, 255).astype(np.uint8))
        np.save(folder / f"{name}-depth.npy", depth.astype(np.float16))
    return folder


@pytest.fixture(scope="session")
def described_shards(shards, tmp_path_factory) -> Path:
    """The same shards with the descriptions that the evaluation reads."""
    folder = tmp_path_factory.mktemp("described")
    for path in shards.glob("*.npy"):
        (folder / path.name).symlink_to(path)
        if path.name.endswith("-rgb.npy"):
            info = [{"kind": "indoor/room"}] * len(np.load(path, mmap_mode="r"))
            (folder / path.name.replace("-rgb.npy", "-info.json")).write_text(json.dumps(info))
    return folder


@pytest.fixture(scope="session")
def uneven_shards(tmp_path_factory) -> Path:
    """12 images of 64×128, of which the k-th has no depth in its first 10 · k columns."""
    folder = tmp_path_factory.mktemp("uneven")
    rng = np.random.default_rng(1)
    rows, columns = np.mgrid[:64, :128]
    slopes = rng.uniform(0.02, 0.2, (12, 2, 1, 1))
    depth = 1 + slopes[:, 0] * rows + slopes[:, 1] * columns
    rgb = np.repeat((255 / depth)[..., None], 3, axis=-1) + rng.normal(0, 5, depth.shape + (3,))
    for index, image in enumerate(depth):
        image[:, : 10 * index] = np.nan
    np.save(folder / "shard-00000-rgb.npy", rgb.clip(0, 255).astype(np.uint8))
    np.save(folder / "shard-00000-depth.npy", depth.astype(np.float16))
    return folder


@pytest.fixture(scope="session")
def photos(tmp_path_factory) -> Path:
    """5 images of other sizes and shapes, two of them in a folder of their own."""
    folder = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(3)
    sizes = {"a.png": (64, 96), "b.jpg": (80, 64), "c.JPG": (48, 160)}
    sizes |= {"more/a.png": (64, 64), "more/b.webp": (70, 90)}
    (folder / "more").mkdir()
    for name, (height, width) in sizes.items():
        ramp = np.linspace(0, 200, height)[:, None, None] + rng.normal(0, 9, (height, width, 3))
        Image.fromarray(ramp.clip(0, 255).astype(np.uint8)).save(folder / name)
    return folder


@pytest.fixture(scope="session")
def labels(photos, tmp_path_factory) -> Path:
    """Pseudo-labels of ``photos``, of the bundled model's prior."""
    from training.pseudo_labels import make_labels

    folder = tmp_path_factory.mktemp("labels")
    make_labels(photos, "prior:d3epth-tiny", folder, progress=False)
    return folder


@pytest.fixture(scope="session")
def uneven_clips(tmp_path_factory) -> Path:
    """4 clips of 8 frames of 64×128 that drift to the left, two with a cut; some depth lacks."""
    folder = tmp_path_factory.mktemp("clips")
    rng = np.random.default_rng(2)
    depth = np.zeros((4, 8, 64, 128))
    rows, columns = np.mgrid[:64, :128]
    for clip in range(4):
        for scene in (slice(0, 5), slice(5, 8)) if clip % 2 else (slice(0, 8),):
            down, right = rng.uniform(0.02, 0.2, 2)
            for frame in range(8)[scene]:
                depth[clip, frame] = 1 + down * rows + right * (columns + frame)
        depth[clip, :, :, : 10 * clip] = np.nan
    grey = np.nan_to_num(255 / depth) + rng.normal(0, 5, depth.shape)
    rgb = np.repeat(grey[..., None], 3, axis=-1).clip(0, 255).astype(np.uint8)
    camera, pose = [100.0, 100.0, 63.5, 31.5], np.eye(4).tolist()
    about = [
        {
            "kind": "indoor/office",
            "seed": clip,
            "stamps": [0.0, 0.1, 0.2, 0.5, 0.6, 0.7, 0.8, 0.9],
            "cuts": [5] if clip % 2 else [],
            "moving": False,
            "intrinsics": [camera] * 8,
            "poses": [pose] * 8,
        }
        for clip in range(4)
    ]
    np.save(folder / "clips-00000-rgb.npy", rgb)
    np.save(folder / "clips-00000-depth.npy", depth.astype(np.float16))
    (folder / "clips-00000-info.json").write_text(json.dumps(about))
    return folder


@dataclass
class Started:
    """A training that runs in processes of its own.

    Attributes:
        processes: by rank.
        log: what they print.
    """

    processes: list[multiprocessing.Process]
    log: Path

    def wait(self, seconds: float = 120) -> list[int]:
        """The exit statuses; a process that does not end is killed, and its status is -9."""
        for process in self.processes:
            process.join(seconds)
            if process.is_alive():
                process.kill()
                process.join()
        return [process.exitcode for process in self.processes]

    def trains_or_ended(self) -> bool:
        """Whether the progress bar is there."""
        return "step/s" in self.text() or self.processes[0].exitcode is not None

    def text(self) -> str:
        """What was printed so far."""
        return self.log.read_text() if self.log.is_file() else ""


@pytest.fixture(scope="session")
def launch(tmp_path_factory) -> Callable[..., Started]:
    """Starts ``command`` (a module, or the path of a script) in real processes.

    They are forked from a server that has imported torch already, so that a start costs
    milliseconds; with several they find each other as those of ``accelerate launch`` do.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["training.command"])
    logs = tmp_path_factory.mktemp("launched")
    started: list[multiprocessing.Process] = []

    def start(
        command: str,
        *arguments: str,
        processes: int = 1,
        sharded: bool = False,
        file_limit: int = 0,
    ) -> Started:
        log = logs / f"{len(started)}.log"
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        group = []
        for rank in range(processes):
            place = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": processes}
            place |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
            environment = {k: str(v) for k, v in place.items()} if processes > 1 else {}
            if sharded:
                environment["ACCELERATE_USE_FSDP"] = "true"
            job = {
                "command": command,
                "arguments": list(arguments),
                "environment": environment,
                "file_limit": file_limit,
                "log": str(log),
            }
            child = (str(HERE / "child.py"), {"JOB": job})
            group.append(context.Process(target=runpy.run_path, args=child))
        for process in group:
            process.start()
        started.extend(group)
        return Started(group, log)

    yield start
    for process in started:
        if process.is_alive():
            process.kill()
            process.join()


@pytest.fixture
def small(launch, shards, tmp_path) -> Callable[..., Started]:
    """Starts the small training of ``small_run.py`` into a folder of the test."""

    def start(name: str, *arguments: str, **options) -> Started:
        places = ("--run.output", str(tmp_path / name), "--data.folder", str(shards))
        shape = ("--data.size", "[32, 64]", "--run.batch_size", "4", "--run.log_every", "1")
        small_run = str(HERE / "small_run.py")
        return launch(small_run, *places, *shape, *arguments, **options)

    return start
