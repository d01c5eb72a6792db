"""Feature taps: shapes of the tables in the tiny and the full-size networks, hooks, wrappers."""

from __future__ import annotations

import gc
import weakref

import pytest
import torch
import torch.distributed as dist
from diffusers import UNet2DConditionModel
from torch.nn.parallel import DistributedDataParallel

from depth_distill_ros.errors import ConfigError
from depth_distill_ros.models.feature_taps import FeatureTaps, named_blocks, unwrap
from training.losses.feature import PAIRS, check_pairs, feature_kd_loss

STUDENT_BLOCKS = ("d0", "d1", "d2", "u0", "u1", "u2")
TEACHER_BLOCKS = ("d0", "d1", "d2", "d3", "m", "u0", "u1", "u2", "u3")
COMMON = {
    "use_linear_projection": True,
    "class_embed_type": "projection",
    "projection_class_embeddings_input_dim": 4,
}
STUDENT = COMMON | {
    "layers_per_block": 1,
    "down_block_types": ("CrossAttnDownBlock2D",) * 3,
    "up_block_types": ("CrossAttnUpBlock2D",) * 3,
    "mid_block_type": None,
    "only_cross_attention": (True, False, False),
}
# diffusers' attention_head_dim is the number of heads in these models
TINY = {"cross_attention_dim": 64, "norm_num_groups": 16}
TINY_STUDENT = (
    STUDENT | TINY | {"block_out_channels": (48, 96, 192), "attention_head_dim": (3, 6, 12)}
)
TINY_TEACHER = (
    COMMON | TINY | {"block_out_channels": (48, 96, 192, 192), "attention_head_dim": (3, 6, 12, 12)}
)
FULL_STUDENT = STUDENT | {
    "block_out_channels": (320, 640, 1280),
    "attention_head_dim": (5, 10, 20),
    "cross_attention_dim": 1024,
}
FULL_TEACHER = COMMON | {
    "block_out_channels": (320, 640, 1280, 1280),
    "attention_head_dim": (5, 10, 20, 20),
    "cross_attention_dim": 1024,
}


def build(settings: dict, seed: int = 0) -> UNet2DConditionModel:
    torch.manual_seed(seed)
    return UNet2DConditionModel(**settings)


@pytest.fixture(scope="module")
def student() -> UNet2DConditionModel:
    return build(TINY_STUDENT)


@pytest.fixture(scope="module")
def teacher() -> UNet2DConditionModel:
    return build(TINY_TEACHER, seed=1)


def forward(unet, height: int = 8, width: int = 16, device: str = "cpu") -> torch.Tensor:
    """One deterministic step at t = 999 on a fixed input, as in training."""
    settings = unwrap(unet).config
    generator = torch.manual_seed(2) if device == "cpu" else None
    latents = torch.randn(2, 4, height, width, device=device, generator=generator)
    prompt = torch.ones(2, 2, settings.cross_attention_dim, device=device)
    task = torch.tensor([[0.8, 0.0, 0.5, 1.0]], device=device).expand(2, 4)
    return unet(latents, 999, prompt, class_labels=task).sample


def shapes(taps: FeatureTaps) -> dict[str, tuple[int, ...]]:
    return {name: tuple(feature.shape[1:]) for name, feature in taps.items()}


@pytest.mark.parametrize("height, width", [(16, 24), (8, 20)])
@torch.no_grad()
def test_shapes_in_the_tiny_networks(student, teacher, height, width):
    with (
        FeatureTaps(student, STUDENT_BLOCKS) as ours,
        FeatureTaps(teacher, TEACHER_BLOCKS) as theirs,
    ):
        forward(student, height, width)
        forward(teacher, height, width)
    half, quarter, eighth = ((height // n, width // n) for n in (2, 4, 8))
    # 20 / 8 rounds up: padded strided convolutions
    eighth = (-(-height // 8), -(-width // 8))
    assert shapes(ours) == {
        "d0": (48, *half),
        "d1": (96, *quarter),
        "d2": (192, *quarter),
        "u0": (192, *half),
        "u1": (96, height, width),
        "u2": (48, height, width),
    }
    assert shapes(theirs) == {
        "d0": (48, *half),
        "d1": (96, *quarter),
        "d2": (192, *eighth),
        "d3": (192, *eighth),
        "m": (192, *eighth),
        "u0": (192, *quarter),
        "u1": (192, *half),
        "u2": (96, height, width),
        "u3": (48, height, width),
    }
    check_pairs(ours, theirs, PAIRS["full"])
    assert feature_kd_loss(ours, theirs, PAIRS["full"]).item() > 0
    with pytest.raises(ConfigError, match=r"d2 ↔ d2': student .* and teacher .* differ"):
        check_pairs(ours, theirs, [("d2", "d2")])


@torch.no_grad()
def test_shapes_in_the_full_size_networks():
    with torch.device("meta"):
        ours_unet, theirs_unet = (UNet2DConditionModel(**s) for s in (FULL_STUDENT, FULL_TEACHER))
    with (
        FeatureTaps(ours_unet, STUDENT_BLOCKS) as ours,
        FeatureTaps(theirs_unet, TEACHER_BLOCKS) as theirs,
    ):
        forward(ours_unet, 64, 64, device="meta")
        forward(theirs_unet, 64, 64, device="meta")
    assert shapes(ours) == {
        "d0": (320, 32, 32),
        "d1": (640, 16, 16),
        "d2": (1280, 16, 16),
        "u0": (1280, 32, 32),
        "u1": (640, 64, 64),
        "u2": (320, 64, 64),
    }
    assert shapes(theirs) == {
        "d0": (320, 32, 32),
        "d1": (640, 16, 16),
        "d2": (1280, 8, 8),
        "d3": (1280, 8, 8),
        "m": (1280, 8, 8),
        "u0": (1280, 16, 16),
        "u1": (1280, 32, 32),
        "u2": (640, 64, 64),
        "u3": (320, 64, 64),
    }
    check_pairs(ours, theirs, PAIRS["full"])


def test_features_are_what_the_rest_of_the_network_reads(student):
    with FeatureTaps(student, ("u2",)) as taps, torch.no_grad():
        sample = forward(student)
        head = student.conv_out(student.conv_act(student.conv_norm_out(taps["u2"])))
    assert torch.equal(head, sample)


def test_gradients_flow_through_the_features(student):
    with FeatureTaps(student, ("d0",)) as taps:
        forward(student)
        taps["d0"].square().mean().backward()
    assert student.conv_in.weight.grad.abs().max() > 0
    assert student.conv_out.weight.grad is None
    student.zero_grad(set_to_none=True)


def test_recording_changes_nothing(student):
    with torch.no_grad():
        plain = forward(student)
        with FeatureTaps(student, STUDENT_BLOCKS):
            assert torch.equal(forward(student), plain)


def test_hooks_are_removed_on_exit_and_after_an_error(student):
    def hooks() -> int:
        return sum(len(block._forward_hooks) for block in named_blocks(student).values())

    assert hooks() == 0
    with FeatureTaps(student, ("d0", "u0")) as taps, torch.no_grad():
        assert hooks() == 2
        forward(student)
    assert hooks() == 0
    before = taps["d0"]
    with torch.no_grad():
        forward(student, 16, 16)
    assert taps["d0"] is before, "closed taps must not record"
    with pytest.raises(RuntimeError, match="boom"), FeatureTaps(student, ("d0",)):
        raise RuntimeError("boom")
    assert hooks() == 0


@torch.no_grad()
def test_the_last_forward_wins_and_clear_frees_it(student):
    with FeatureTaps(student, ("d0",)) as taps:
        assert len(taps) == 0
        forward(student, 8, 8)
        forward(student, 16, 8)
        assert shapes(taps) == {"d0": (48, 8, 4)}
        feature = weakref.ref(taps["d0"])
        taps.clear()
        gc.collect()
        assert feature() is None
        assert "d0" not in taps


@torch.no_grad()
def test_taps_open_one_at_a_time_but_may_open_again(student):
    taps = FeatureTaps(student, ("d0",))
    for size in (8, 16):
        with taps:
            forward(student, size, size)
            with pytest.raises(RuntimeError, match="already open"), taps:
                pass
        assert shapes(taps) == {"d0": (48, size // 2, size // 2)}


def test_unknown_blocks_are_refused(student):
    with pytest.raises(ConfigError, match=r"no block m, u3: it has d0, d1, d2, u0, u1, u2"):
        FeatureTaps(student, ("d0", "m", "u3"))


@torch.no_grad()
def test_autocast_gives_features_in_its_own_type(student):
    with torch.autocast("cpu", torch.bfloat16), FeatureTaps(student, ("d0", "u2")) as taps:
        forward(student)
        assert {feature.dtype for feature in taps.values()} == {torch.bfloat16}
        loss = feature_kd_loss(taps, {"d0": torch.zeros_like(taps["d0"])}, [("d0", "d0")])
    assert loss.dtype == torch.float32


@pytest.fixture
def process_group():
    if not dist.is_available():
        pytest.skip("this torch has no torch.distributed")
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    yield
    dist.destroy_process_group()


def test_distributed_data_parallel(process_group):
    unet = build(TINY_STUDENT)
    with FeatureTaps(unet, STUDENT_BLOCKS) as expected, torch.no_grad():
        forward(unet)
    wrapped = DistributedDataParallel(unet)
    assert unwrap(wrapped) is unet
    with FeatureTaps(wrapped, STUDENT_BLOCKS) as taps:
        forward(wrapped)
    assert tuple(taps) == STUDENT_BLOCKS
    for name in STUDENT_BLOCKS:
        torch.testing.assert_close(taps[name], expected[name])


@torch.no_grad()
def test_compiled_networks_record_fresh_features_on_each_call():
    plain_blocks = {  # without attention, which takes the compiler seconds
        "block_out_channels": (16, 32),
        "down_block_types": ("DownBlock2D",) * 2,
        "up_block_types": ("UpBlock2D",) * 2,
    }
    unet = build(STUDENT | TINY | plain_blocks | {"only_cross_attention": False})
    compiled = torch.compile(unet, backend="eager")
    assert unwrap(compiled) is unet
    taps = FeatureTaps(compiled, ("d0", "u0"))
    with FeatureTaps(unet, ("d0", "u0")) as expected:
        forward(unet)
    with taps:
        forward(compiled)
        for name in ("d0", "u0"):
            torch.testing.assert_close(taps[name], expected[name])
        unet.conv_in.weight.mul_(2)
        forward(compiled)
        assert not torch.allclose(taps["d0"], expected["d0"])


def test_unwrap_leaves_a_plain_network_and_opens_nested_wrappers(student, process_group):
    assert unwrap(student) is student
    assert unwrap(torch.compile(DistributedDataParallel(student), backend="eager")) is student
