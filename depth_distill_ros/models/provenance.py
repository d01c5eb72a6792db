"""Where a model comes from: what it learned from, by which recipes, and what licence that leaves.

Training writes ``training.json`` beside a model's ``config.json``; each stage adds to what the
stage before left. The model card is made from it. Licences are named as the Hub names them
("apache-2.0", "openrail++", "cc-by-nc-4.0"); an empty one is unknown.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from depth_distill_ros.errors import ModelError
from depth_distill_ros.models.hub import read_json

FILE = "training.json"
PERMISSIVE = ("apache-2.0", "mit", "bsd-2-clause", "bsd-3-clause", "cc0-1.0", "cc-by-4.0")
_ROLES = ("teacher", "origin", "autoencoder", "data")


@dataclass(frozen=True)
class Credit:
    """A network or a data set that a model owes something to.

    Attributes:
        name: as its authors call it.
        source: Hub id, or the name of a local folder; no path of the machine.
        licence: as its authors state it; empty where unknown.
        role: "teacher", "origin" (weights that training started from), "autoencoder" or "data".
        note: one sentence, such as how much of the training it made up.
    """

    name: str
    source: str = ""
    licence: str = ""
    role: Literal["teacher", "origin", "autoencoder", "data"] = "origin"
    note: str = ""

    def __post_init__(self):
        if self.role not in _ROLES:
            raise ModelError(f"a credit's role is one of {', '.join(_ROLES)}, not '{self.role}'")


@dataclass(frozen=True)
class Provenance:
    """The history of a model.

    Attributes:
        licence: that its authors state for these weights; empty: what the credits leave.
        credits: networks and data that it owes something to.
        stages: one entry a training: "command", "name" and "recipe" (plain values).
    """

    licence: str = ""
    credits: tuple[Credit, ...] = ()
    stages: tuple[dict, ...] = ()

    def extended(self, stage: dict, credits: tuple[Credit, ...], licence: str = "") -> Provenance:
        """The history after one more training; credits that are there already are not repeated."""
        new = tuple(credit for credit in credits if credit not in self.credits)
        return Provenance(licence, self.credits + new, (*self.stages, stage))

    def with_role(self, role: str) -> tuple[Credit, ...]:
        """The credits of one role."""
        return tuple(credit for credit in self.credits if credit.role == role)

    def to_json(self) -> dict:
        """Plain values, as ``training.json`` has them."""
        return dataclasses.asdict(self)


def public_name(source: str) -> str:
    """A source as others may read it: Hub ids as they are, of a local path its last part."""
    path = Path(source)
    is_local = path.is_absolute() or source.startswith((".", "~")) or path.exists()
    return path.name if is_local else source


def read_provenance(folder: Path) -> Provenance:
    """The history in a model folder; empty where there is none.

    Raises:
        ModelError: ``training.json`` is damaged.
    """
    path = folder / FILE
    if not path.is_file():
        return Provenance(licence=stated_licence(folder))
    fields = read_json(path)
    try:
        credits = tuple(Credit(**credit) for credit in fields.get("credits", ()))
        stages = tuple(dict(stage) for stage in fields.get("stages", ()))
    except (TypeError, ValueError) as error:
        raise ModelError(f"{path} is not a history of a model: {error}") from error
    return Provenance(str(fields.get("licence", "")), credits, stages)


def stated_licence(folder: Path) -> str:
    """The licence in the front matter of a folder's README.md; empty where it states none."""
    from huggingface_hub import metadata_load

    card = folder / "README.md"
    try:
        metadata = metadata_load(card) if card.is_file() else None
    except (ValueError, OSError):
        metadata = None
    licence = (metadata or {}).get("license", "")
    return licence.lower() if isinstance(licence, str) else ""


def is_non_commercial(licence: str) -> bool:
    """Whether a licence forbids commercial use, by its name."""
    name = licence.lower()
    return any(word in name for word in ("-nc", "noncommercial", "non-commercial", "research"))


def inherited_licence(provenance: Provenance) -> tuple[str, str]:
    """The licence that a model's teachers and starting weights leave it, and why.

    Non-commercial terms come first, then licences that are not known to be permissive (OpenRAIL's
    use restrictions must be passed on), then Apache-2.0 for what is left. Data sets do not count:
    whether their licences reach a model is not settled; the card lists them.

    Returns:
        The licence and one sentence. The licence is empty when one of the networks' is unknown, or
        when two that restrict differ.
    """
    if provenance.licence:
        return provenance.licence, "As its authors state."
    networks = [credit for credit in provenance.credits if credit.role != "data"]
    unknown = [credit.name for credit in networks if not credit.licence]
    if unknown:
        return "", f"The licence of {', '.join(unknown)} is not known."
    for restricts in (is_non_commercial, lambda name: name.lower() not in PERMISSIVE):
        found = [credit for credit in networks if restricts(credit.licence)]
        licences = sorted({credit.licence.lower() for credit in found})
        names = ", ".join(f"{credit.name} ({credit.licence})" for credit in found)
        if len(licences) > 1:
            return "", f"{names} restrict use in different ways: decide, and give the licence."
        if licences:
            return licences[0], f"Inherited from {names}."
    return "apache-2.0", "Everything that it learned from permits this."
