"""EDM, the diffusion of Stable Video Diffusion: preconditioning, noise levels, Euler's method.

A denoiser gives the clean latents of noisy ones at a noise level σ (Karras et al., 2022)::

    F(x; σ) = c_skip(σ) x + c_out(σ) U(c_in(σ) x; c_noise(σ))

Stable Video Diffusion's network predicts v, which decides the coefficients here. At σ_max the
clean latents are -U but for 1.4e-3 of its input.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch

SIGMA_MIN, SIGMA_MAX, RHO = 0.002, 700.0, 7.0
"""Of Stable Video Diffusion's scheduler."""

Denoiser = Callable[[torch.Tensor, float], torch.Tensor]
"""Noisy latents and σ to clean latents."""


@dataclass(frozen=True)
class Preconditioning:
    """The coefficients of EDM at a noise level, for a network that predicts v."""

    skip: float
    out: float
    into: float
    noise: float

    @classmethod
    def at(cls, sigma: float) -> Preconditioning:
        """c_skip = 1/(σ²+1), c_out = -σ/√(σ²+1), c_in = 1/√(σ²+1), c_noise = ¼ ln σ."""
        size = math.hypot(sigma, 1.0)
        return cls(1 / size**2, -sigma / size, 1 / size, 0.25 * math.log(sigma))


def karras_sigmas(steps: int) -> list[float]:
    """Noise levels of Euler's steps, from σ_max down to σ_min; ``steps`` is 2 or more."""
    high, low = SIGMA_MAX ** (1 / RHO), SIGMA_MIN ** (1 / RHO)
    return [(high + k / (steps - 1) * (low - high)) ** RHO for k in range(steps)]


def euler_sample(denoise: Denoiser, noise: torch.Tensor, steps: int = 5) -> torch.Tensor:
    """Clean latents from noise by Euler's method: the last step leads to σ = 0.

    Args:
        denoise: F.
        noise: standard normal, of any shape.
        steps: calls of ``denoise``; 5 in DepthCrafter.
    """
    sigmas = karras_sigmas(steps)
    # Scaled as Stable Video Diffusion's scheduler does where the levels begin at σ_max.
    x = noise * math.hypot(sigmas[0], 1.0)
    for sigma, following in zip(sigmas, [*sigmas[1:], 0.0], strict=True):
        slope = (x - denoise(x, sigma)) / sigma
        x = x + (following - sigma) * slope
    return x
