"""Publish a model folder on the Hugging Face Hub in one commit, and name that commit."""

from __future__ import annotations

from pathlib import Path

from depth_distill_ros.errors import ModelError
from depth_distill_ros.models.hub import read_json
from depth_distill_ros.models.provenance import stated_licence

SUFFIXES = (".json", ".safetensors")
CARD = "README.md"


def push_model(
    folder: Path, repo: str, private: bool = False, message: str = "Upload model"
) -> str:
    """Upload a model: weights, JSON and the card, all in one commit or none of it.

    The token is the one that ``hf auth login`` stored, or ``HF_TOKEN``'s.

    Args:
        folder: a model folder whose card states a licence.
        repo: ``owner/name``; made when it does not exist.
        private: make it private.
        message: of the commit.

    Returns:
        ``owner/name@<40-digit commit>``, what others load.

    Raises:
        ModelError: the folder has no card, a card without licence or files of other kinds; there
            is no token, no network, or the Hub refuses.
    """
    files = files_to_push(folder)
    from huggingface_hub import CommitOperationAdd, HfApi, get_token
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    if get_token() is None:
        raise ModelError(
            "no Hugging Face token: run `hf auth login`, or set HF_TOKEN to a token that may write"
        )
    additions = [
        CommitOperationAdd(path_in_repo=path.relative_to(folder).as_posix(), path_or_fileobj=path)
        for path in files
    ]
    api = HfApi()
    try:
        api.create_repo(repo, private=private, repo_type="model", exist_ok=True)
        commit = api.create_commit(repo, additions, commit_message=message, repo_type="model")
    except HFValidationError as error:
        raise ModelError(f"'{repo}' is not owner/name on the Hub: {_line(error)}") from error
    except (HfHubHTTPError, ValueError) as error:  # ValueError: the card's front matter
        raise ModelError(f"the Hub refused {repo}: {_line(error)}") from error
    except (*HfHubHTTPError.__bases__, OSError) as error:  # of the HTTP client that the Hub uses
        raise ModelError(
            f"could not reach the Hub for {repo}: {_line(error)}. Nothing was published"
        ) from error
    return f"{repo}@{commit.oid}"


def files_to_push(folder: Path) -> list[Path]:
    """The files of a model folder that are published.

    Raises:
        ModelError: it is no model folder, lacks a card with a licence, or holds anything else.
    """
    read_json(folder / "config.json")
    if not (folder / CARD).is_file() or not stated_licence(folder):
        raise ModelError(
            f"{folder} has no model card with a licence: write one with "
            f"`d3epth models card {folder}` and read it before you publish"
        )
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    others = [
        str(path.relative_to(folder))
        for path in files
        if path.suffix not in SUFFIXES and path != folder / CARD
    ]
    if others:
        raise ModelError(
            f"{folder} holds files that are not published: {', '.join(others[:5])}. A model is "
            "safetensors, JSON and README.md: move the rest away"
        )
    return files


def _line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
