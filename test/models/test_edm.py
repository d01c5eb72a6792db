"""EDM by hand values, and against diffusers' scheduler of Stable Video Diffusion."""

import math

import pytest
import torch
from diffusers import EulerDiscreteScheduler

from depth_distill_ros.models.edm import SIGMA_MAX, Preconditioning, euler_sample, karras_sigmas


def test_coefficients_at_the_largest_noise():
    factor = Preconditioning.at(SIGMA_MAX)
    assert factor.skip == pytest.approx(1 / 490001)
    assert factor.out == pytest.approx(-700 / math.sqrt(490001))
    assert factor.into == pytest.approx(1 / math.sqrt(490001))
    assert factor.noise == pytest.approx(1.6378, abs=1e-4)


def test_coefficients_keep_the_variance():
    # Of x = x0 + σ ε with unit variances, U's input has unit variance; so has its target, v.
    for sigma in (0.01, 1.0, 30.0):
        factor = Preconditioning.at(sigma)
        assert factor.into**2 * (1 + sigma**2) == pytest.approx(1)
        target = (1 - factor.skip) ** 2 + (factor.skip * sigma) ** 2
        assert target / factor.out**2 == pytest.approx(1)


def test_the_five_levels():
    assert karras_sigmas(5) == pytest.approx([700, 134.9, 15.6, 0.678, 0.002], rel=1e-3)


def test_a_perfect_denoiser_gives_the_truth():
    truth = torch.randn(2, 3, generator=torch.Generator().manual_seed(0))
    noise = torch.randn(2, 3, generator=torch.Generator().manual_seed(1))
    assert torch.allclose(euler_sample(lambda x, sigma: truth, noise), truth, atol=1e-5)


def test_euler_steps_as_diffusers_does():
    scheduler = EulerDiscreteScheduler(
        beta_schedule="scaled_linear",
        beta_start=0.00085,
        beta_end=0.012,
        prediction_type="v_prediction",
        sigma_min=0.002,
        sigma_max=700.0,
        timestep_spacing="leading",
        timestep_type="continuous",
        use_karras_sigmas=True,
    )
    scheduler.set_timesteps(5)
    noise = torch.randn(1, 4, 3, 3, generator=torch.Generator().manual_seed(0))

    def network(scaled: torch.Tensor) -> torch.Tensor:
        return 0.3 * torch.tanh(scaled) + 0.1

    x = noise * scheduler.init_noise_sigma
    for timestep in scheduler.timesteps:
        output = network(scheduler.scale_model_input(x, timestep))
        x = scheduler.step(output, timestep, x).prev_sample

    def denoise(noisy: torch.Tensor, sigma: float) -> torch.Tensor:
        factor = Preconditioning.at(sigma)
        return factor.skip * noisy + factor.out * network(factor.into * noisy)

    assert torch.allclose(euler_sample(denoise, noise), x, atol=1e-4)
