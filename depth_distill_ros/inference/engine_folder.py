"""Folders that `d3epth export` writes: graphs, and what they were made of and found to be.

    infer.onnx      images to disparities
    step.onnx       of models with a temporal head: the same with a stream's memory in, and an entry out
    remember.onnx   puts an entry into its place in a memory, which on a GPU stays there
    engine.json     `EngineFacts`

An engine is taken only for the very model it was made of, and only by the runtime under which its
numbers were compared with PyTorch's (``accepted``).
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import platformdirs

from depth_distill_ros.errors import ModelError
from depth_distill_ros.inference.engines import EngineError, ModelInfo
from depth_distill_ros.models.hub import read_json

FACTS, INFER, STEP, REMEMBER = "engine.json", "infer.onnx", "step.onnx", "remember.onnx"
FORMAT = 2
PROVIDERS = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
}
"""ONNX Runtime's names."""

CACHE_VARIABLE = "D3EPTH_CACHE"


@dataclass(frozen=True)
class EngineFacts:
    """What stands in ``engine.json``.

    Attributes:
        info: about the model.
        model: digest of the model's files.
        precision: "fp32", "fp16" or "int8".
        size: (height, width) of the images, or None: any.
        opset: of ONNX.
        made_with: versions of the exporting packages, by name.
        provider: a key of ``PROVIDERS``.
        memory: of streams: rows and columns of each module's map as a share of the image's sides
            (its stride), heads, entries and channels a head.
        accepted: the comparison under ``runtime``: "max_relative_error", of int8 "mean_relative_error"
            too, "tolerance", "images"; None before it.
        runtime: ONNX Runtime's version at the comparison.
    """

    info: ModelInfo
    model: str
    precision: str
    size: tuple[int, int] | None
    opset: int
    made_with: dict[str, str]
    provider: str = "cpu"
    memory: dict = field(default_factory=dict)
    accepted: dict | None = None
    runtime: str = ""

    @property
    def name(self) -> str:
        """Of the folder in the cache."""
        size = "dynamic" if self.size is None else f"{self.size[0]}x{self.size[1]}"
        return f"{self.info.name}-{self.model}-{self.precision}-{size}-{self.provider}"


def engine_cache() -> Path:
    """The folder of all engines of this user: ``$D3EPTH_CACHE/engines``, or the system's cache."""
    root = os.environ.get(CACHE_VARIABLE) or platformdirs.user_cache_dir("depth_distill_ros")
    return Path(root).expanduser() / "engines"


def write_facts(folder: Path, facts: EngineFacts) -> None:
    """Write ``engine.json``, whole or not at all."""
    partial = folder / f".{FACTS}"
    content = {"format": FORMAT, **dataclasses.asdict(facts)}
    partial.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    partial.replace(folder / FACTS)


def read_facts(folder: Path) -> EngineFacts:
    """Read ``engine.json``.

    Raises EngineError: it is damaged, or another version of this package has written it.
    """
    try:
        content = read_json(folder / FACTS)
    except ModelError as error:
        raise EngineError(f"{error}: run `d3epth export` again") from error
    try:
        if content.pop("format") != FORMAT:
            raise KeyError("format")
        info = content.pop("info")
        info["resolution"] = tuple(info["resolution"])
        size = content.pop("size")
        return EngineFacts(ModelInfo(**info), size=tuple(size) if size else None, **content)
    except (KeyError, TypeError) as error:
        raise EngineError(
            f"{folder} was written by another version of this package: run `d3epth export` again"
        ) from error


def engines_of(digest: str) -> Iterator[Path]:
    """Folders in the cache that belong to a model."""
    for facts in sorted(engine_cache().glob(f"*-{digest}-*/{FACTS}")):
        yield facts.parent
