"""The scales of the cameras in a file: what ~/save_scale writes and the node begins with."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import yaml

from depth_distill_ros.errors import ConfigError

SINGLE_CAMERA = "camera"
"""The name in the file of a camera that has none."""


def save_scales(path: str | Path, scales: Mapping[str, dict]) -> None:
    """Writes the state of each camera's tracker, by camera; replaces the file atomically.

    Raises ConfigError where the file cannot be written.
    """
    path = Path(path).expanduser()
    content = {camera or SINGLE_CAMERA: state for camera, state in scales.items()}
    partial = path.with_name(path.name + ".partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
        os.replace(partial, path)
    except OSError as error:
        raise ConfigError(f"{path} cannot be written ({error.strerror}): set scale.file") from error


def load_scales(path: str | Path) -> dict[str, dict]:
    """What `save_scales` wrote; empty where there is no file yet.

    Raises ConfigError for a file that holds something else.
    """
    path = Path(path).expanduser()
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())  # YAML's are of several lines
        raise ConfigError(
            f"{path} cannot be read ({reason}): remove it, or set scale.file"
        ) from error
    if not isinstance(content, dict) or not all(isinstance(v, dict) for v in content.values()):
        raise ConfigError(f"{path} holds no scales: remove it, or set scale.file to another file")
    return {("" if name == SINGLE_CAMERA else str(name)): s for name, s in content.items()}
