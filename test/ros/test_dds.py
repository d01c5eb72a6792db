"""Where the shared-memory profile is found, when it applies, and that it is well-formed."""

from __future__ import annotations

import shutil
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from depth_distill_ros.ros import dds
from depth_distill_ros.ros.dds import shared_memory_profile, with_shared_memory_profile


def test_the_profile_is_well_formed_and_has_room_for_clouds():
    root = ElementTree.parse(shared_memory_profile()).getroot()
    space = "{http://www.eprosima.com/XMLSchemas/fastRTPS_Profiles}"
    transports = {
        t.findtext(f"{space}transport_id"): t for t in root.iter(f"{space}transport_descriptor")
    }
    (participant,) = root.iter(f"{space}participant")
    assert participant.get("is_default_profile") == "true"
    used = [e.text for e in participant.find(f".//{space}userTransports")]
    assert used == list(transports)
    shm = next(t for t in transports.values() if t.findtext(f"{space}type") == "SHM")
    cloud_bytes = 16 * 1920 * 1080
    assert int(shm.findtext(f"{space}segment_size")) >= 2 * cloud_bytes
    assert "UDPv4" in [t.findtext(f"{space}type") for t in transports.values()]


def test_both_variables_are_set_and_the_input_is_left_alone(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    environment = {"HOME": "/somewhere"}
    changed = with_shared_memory_profile(environment)
    profile = str(shared_memory_profile())
    assert changed == {
        "HOME": "/somewhere",
        "FASTRTPS_DEFAULT_PROFILES_FILE": profile,
        "FASTDDS_DEFAULT_PROFILES_FILE": profile,
    }
    assert environment == {"HOME": "/somewhere"}


@pytest.mark.parametrize(
    "choice",
    [
        {"FASTRTPS_DEFAULT_PROFILES_FILE": "mine.xml"},
        {"FASTDDS_DEFAULT_PROFILES_FILE": "mine.xml"},
        {"FASTDDS_BUILTIN_TRANSPORTS": "LARGE_DATA"},
    ],
)
def test_the_users_variable_is_respected(choice):
    assert with_shared_memory_profile(choice) == choice


def test_an_empty_variable_is_no_choice(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    changed = with_shared_memory_profile({"FASTRTPS_DEFAULT_PROFILES_FILE": ""})
    assert changed["FASTRTPS_DEFAULT_PROFILES_FILE"] == str(shared_memory_profile())


@pytest.mark.parametrize("name", ["DEFAULT_FASTRTPS_PROFILES.xml", "DEFAULT_FASTDDS_PROFILES.xml"])
def test_the_users_file_in_the_working_folder_is_respected(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).write_text("<dds/>")
    assert with_shared_memory_profile({}) == {}


@pytest.mark.parametrize(
    "packages", ["lib/python3.11/site-packages", "local/lib/python3.10/dist-packages", "."]
)
def test_the_profile_is_found_in_an_installation(packages, tmp_path):
    """A prefix of colcon, Debian's Python or `pip install --target`, with the module's own file."""
    module = tmp_path / packages / "depth_distill_ros" / "ros" / "dds.py"
    module.parent.mkdir(parents=True)
    shutil.copy(dds.__file__, module)
    ask = "import runpy, sys; print(runpy.run_path(sys.argv[1])['shared_memory_profile']())"

    def found() -> subprocess.CompletedProcess:
        command = [sys.executable, "-c", ask, str(module)]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    assert "install the package again" in found().stderr
    installed = tmp_path / "share" / "depth_distill_ros" / "config" / "fastdds_shm.xml"
    installed.parent.mkdir(parents=True)
    shutil.copy(shared_memory_profile(), installed)
    assert Path(found().stdout.strip()) == installed.resolve()
