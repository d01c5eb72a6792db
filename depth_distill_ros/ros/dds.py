"""The shared-memory profile of Fast DDS that the package ships, and when it applies.

With the defaults of Fast DDS most large messages on one machine are lost: its shared-memory
segment of 512 KiB is smaller than one 640x480 image. `config/fastdds_shm.xml` makes it 64 MiB.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

PROFILE_VARIABLES = ("FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_DEFAULT_PROFILES_FILE")
"""The name of Fast DDS 2 (Humble, Jazzy) and the one of Fast DDS 3 (Kilted)."""

_USER_CHOICES = (*PROFILE_VARIABLES, "FASTDDS_BUILTIN_TRANSPORTS")
_USER_FILES = ("DEFAULT_FASTRTPS_PROFILES.xml", "DEFAULT_FASTDDS_PROFILES.xml")
_FILE = Path("config", "fastdds_shm.xml")


def shared_memory_profile() -> Path:
    """Where the profile is: in a source checkout, or below share/ of the prefix installed to.

    colcon, pip and Debian packages all put the code in some `<prefix>/lib/**/` and data in
    `<prefix>/share/`, so the prefix is one of the folders that this file is in.

    Raises FileNotFoundError where the installation lacks it.
    """
    here = Path(__file__).resolve()
    checkout = here.parents[2]
    if (checkout / _FILE).exists():
        return checkout / _FILE
    for prefix in here.parents:
        installed = prefix / "share" / "depth_distill_ros" / _FILE
        if installed.exists():
            return installed
    raise FileNotFoundError(
        f"{_FILE} was not installed with depth_distill_ros: install the package again"
    )


def with_shared_memory_profile(environment: Mapping[str, str]) -> dict[str, str]:
    """A copy of the environment variables with the profile set, unless the user chose transports.

    The user's choice is a profile or a transport named in a variable, or a profile in the working
    folder. Other DDS implementations do not read these variables.
    """
    changed = dict(environment)
    if any(changed.get(name) for name in _USER_CHOICES):
        return changed
    if any(Path(name).exists() for name in _USER_FILES):
        return changed
    profile = str(shared_memory_profile())
    changed.update({name: profile for name in PROFILE_VARIABLES})
    return changed
