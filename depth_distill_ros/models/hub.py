"""Model names to folders: bundled models, local folders, pinned Hugging Face repositories."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from pathlib import Path

from depth_distill_ros.errors import ModelError

WEIGHTS_FOLDER = Path(__file__).resolve().parent.parent / "weights"
DEFAULT_MODEL = "d3epth-lite"
PATTERNS = ("*.json", "*.safetensors", "README.md", "tokenizer/merges.txt")
"""Files of a model on the Hub: ours, and a diffusers pipeline's."""

_HUB_ID = re.compile(r"^(?P<repo>[\w.-]+/[\w.-]+)@(?P<revision>[0-9a-f]{40})$")
_UNPINNED_ID = re.compile(r"^[\w.-]+/[\w.-]+(@.*)?$")


def bundled_models() -> dict[str, Path]:
    """Folders of the models that ship with the package, by name."""
    return {path.parent.name: path.parent for path in sorted(WEIGHTS_FOLDER.glob("*/config.json"))}


def resolve(name_or_folder: str | Path | None = None, patterns: Sequence[str] = PATTERNS) -> Path:
    """The folder of a model.

    Args:
        name_or_folder: a bundled model's name, a folder, or ``owner/name@<40-digit commit>`` on
            the Hugging Face Hub, downloaded once to its cache. ``None`` is the default model.
        patterns: files to download: no pickles, no code.

    Raises:
        ModelError: nothing of that name exists, or a Hub id is not pinned to a commit.
    """
    name = str(name_or_folder) if name_or_folder is not None else DEFAULT_MODEL
    bundled = bundled_models()
    if name in bundled:
        return bundled[name]
    folder = Path(name).expanduser()
    if folder.is_dir():
        return folder
    if match := _HUB_ID.match(name):
        return _download(match["repo"], match["revision"], patterns)
    if _UNPINNED_ID.match(name) and not folder.parent.is_dir():
        raise ModelError(
            f"'{name}' is no folder, and as a Hugging Face id it lacks its revision: write "
            "owner/name@<40-digit commit>, so that the weights cannot change under you"
        )
    raise ModelError(
        f"there is no model '{name}': give a bundled model ({', '.join(bundled) or 'none'}), "
        "a folder, or owner/name@<commit> on the Hugging Face Hub"
    )


def model_digest(folder: Path) -> str:
    """The first 12 hexadecimal digits of the SHA-256 of all that a model's function depends on: the
    names and contents of its weights and configurations."""
    digest = hashlib.sha256()
    files = [path for kind in ("*.safetensors", "config.json") for path in folder.rglob(kind)]
    for path in sorted(files):
        digest.update(f"{path.relative_to(folder).as_posix()}\0{path.stat().st_size}\0".encode())
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()[:12]


def is_hub_id(name: str) -> bool:
    """Whether a name is a Hub id pinned to a commit, and no folder here."""
    return _HUB_ID.match(name) is not None and not Path(name).is_dir()


def _download(repo: str, revision: str, patterns: Sequence[str]) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        allowed = list(patterns)
        return Path(snapshot_download(repo, revision=revision, allow_patterns=allowed))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        raise ModelError(
            f"could not fetch {repo} at {revision}: {error}. Download it on a machine with "
            "network access and give its folder instead"
        ) from error


def read_json(path: Path) -> dict:
    """A JSON object from a model folder.

    Raises:
        ModelError: the file is missing, is not JSON, or is not an object.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ModelError(f"the model folder {path.parent} has no {path.name}") from error
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ModelError(f"{path} cannot be read as JSON: {error}") from error
    if not isinstance(content, dict):
        raise ModelError(f"{path} must hold a JSON object")
    return content
