"""A model goes to the Hub in one commit, and what is printed is what others load."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from hub_server import Hub
from pipeline_folders import LOTUS_UNET, VAE

from depth_distill_ros.models.depth_model import DepthModel, DepthModelConfig


@pytest.fixture
def hub():
    server = Hub()
    yield server
    server.close()


@pytest.fixture
def folder(tmp_path):
    config = DepthModelConfig(name="student", resolution=(64, 64))
    model = DepthModel(config, UNet2DConditionModel(**LOTUS_UNET), AutoencoderKL(**VAE))
    model.save_pretrained(tmp_path / "model", card="---\nlicense: apache-2.0\n---\n\n# student\n")
    return tmp_path / "model"


@pytest.fixture
def run(tmp_path, hub):
    """A command in a process whose Hub is the one of the test."""

    def start(*command: object, **environment: str) -> subprocess.CompletedProcess:
        clean = {k: v for k, v in os.environ.items() if not k.startswith("HF_")}
        clean |= {"HF_HOME": str(tmp_path / "home"), "HF_ENDPOINT": hub.endpoint}
        clean |= {"HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_TELEMETRY": "1", **environment}
        line = [sys.executable, *map(str, command)]
        return subprocess.run(line, capture_output=True, text=True, timeout=120, env=clean)

    return start


def push(run, *arguments: object, **environment: str) -> subprocess.CompletedProcess:
    return run("-m", "depth_distill_ros.cli", "models", "push", *arguments, **environment)


def refused(result: subprocess.CompletedProcess) -> str:
    assert result.returncode == 2, result.stderr
    assert result.stderr.startswith("error: ") and result.stderr.count("\n") == 1
    return result.stderr


def test_push_prints_the_pinned_id_that_others_load(run, hub, folder):
    arguments = (folder, "owner/student", "--private", "--revision-message", "Two stages")
    result = push(run, *arguments, HF_TOKEN="hf_test")
    assert result.returncode == 0, result.stderr
    pinned = result.stdout.strip()
    assert re.fullmatch(r"owner/student@[0-9a-f]{40}", pinned)
    assert hub.private == {"owner/student": True}
    (commit,) = hub.commits
    assert commit[:2] == ("owner/student", "Two stages")
    local = {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*.*")}
    assert hub.files["owner/student"] == local

    fetch = "import sys\nfrom depth_distill_ros.models import hub\nprint(hub.resolve(sys.argv[1]))"
    result = run("-c", fetch, pinned)
    assert result.returncode == 0, result.stderr
    fetched = DepthModel.from_pretrained(result.stdout.strip()).state_dict()
    expected = DepthModel.from_pretrained(folder).state_dict()
    assert all(torch.equal(fetched[name], tensor) for name, tensor in expected.items())


def test_no_token_a_wrong_one_and_no_network_are_one_line(run, hub, folder):
    assert "no Hugging Face token" in refused(push(run, folder, "owner/student"))
    wrong = push(run, folder, "owner/student", HF_TOKEN="hf_other")
    assert "the Hub refused owner/student" in refused(wrong)
    assert "owner/name" in refused(push(run, folder, "a/b/c", HF_TOKEN="hf_test"))
    hub.close()
    gone = push(run, folder, "owner/student", HF_TOKEN="hf_test")
    assert "could not reach the Hub" in refused(gone) and hub.commits == []


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda folder: (folder / "README.md").unlink(), "no model card with a licence"),
        (lambda folder: (folder / "README.md").write_text("# x\n"), "no model card with a licence"),
        (lambda folder: (folder / "notes.txt").write_text("x"), "not published: notes.txt"),
        (lambda folder: (folder / "unet" / "w.bin").write_bytes(b""), "not published: unet/w.bin"),
        (lambda folder: (folder / "config.json").unlink(), "has no config.json"),
    ],
)
def test_what_is_not_ready_is_refused_before_the_network(folder, damage, message):
    from depth_distill_ros.errors import ModelError
    from depth_distill_ros.models.publish import push_model

    damage(folder)
    with pytest.raises(ModelError, match=message):
        push_model(folder, "owner/student")
