"""Which differences of a recipe a resumed run may have."""

from __future__ import annotations

from depth_distill_ros.errors import ConfigError

# How a run is carried out, not what it computes.
_FREE = {
    f"run.{name}"
    for name in ("output", "save_every", "log_every", "workers", "micro_batch", "max_skipped")
} | {"data.cache", "data.cache_gb"}
# What a run that has diverged is helped with.
_REPORTED = {"optimizer.learning_rate", "optimizer.clip", "run.mixed_precision"}


def check_recipe(before: dict, now: dict, output: str) -> list[str]:
    """Compare the recipe of a checkpoint with the one of today.

    Args:
        before: plain values, of the checkpoint.
        now: plain values, of the command line.
        output: the run's folder, for the message.

    Returns:
        Differences that are allowed but change what is computed, to be reported.

    Raises:
        ConfigError: any other difference, each named.
    """
    found = _differences(before, now)
    refused = [text for key, text in found if key not in _REPORTED]
    if refused:
        raise ConfigError(
            f"the run in {output} was started with another recipe "
            f"({'; '.join(refused)}): resume with the old values or start a new run"
        )
    return [text for _, text in found]


def _differences(before: dict, now: dict, prefix: str = "") -> list[tuple[str, str]]:
    found = []
    for name in sorted(before.keys() | now.keys()):
        key = f"{prefix}{name}"
        if name not in before:  # a field that is newer than the run; its default is what was done
            continue
        old, new = before[name], now.get(name)
        if isinstance(old, dict) and isinstance(new, dict):
            found += _differences(old, new, f"{key}.")
        elif old != new and key not in _FREE and not key.startswith("speed."):
            found.append((key, f"{key} was {old}, now {new}"))
    return found
