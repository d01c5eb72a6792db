"""L_latent of one-step video depth against a direct evaluation in NumPy, and its gradient."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from training.losses.latent_gradient import latent_gradient_loss


def test_values_by_hand():
    student, teacher = torch.tensor([[[[1.0, 3.0], [0.0, 0.0]]]]), torch.zeros(1, 1, 2, 2)
    loss, score, gradient = latent_gradient_loss(student, teacher, gradient_share=0.25)
    assert float(score) == pytest.approx((1 + 9) / 4)
    assert float(gradient) == pytest.approx((2 + 0 + 1 + 3) / 4)
    assert float(loss) == pytest.approx(0.75 * 2.5 + 0.25 * 1.5)


def test_against_numpy():
    rng = np.random.default_rng(0)
    student, teacher = rng.normal(size=(2, 6, 4, 5, 7))
    difference = student - teacher
    score = np.mean(difference**2)
    across, down = (np.abs(np.diff(difference, axis=axis)).sum() for axis in (3, 2))
    gradient = (across + down) / difference.size
    found = latent_gradient_loss(torch.from_numpy(student), torch.from_numpy(teacher))
    assert [float(value) for value in found] == pytest.approx(
        [0.5 * score + 0.5 * gradient, score, gradient]
    )


def test_the_gradient_reaches_the_student_alone():
    generator = torch.Generator().manual_seed(0)
    student, teacher = torch.randn(2, 1, 2, 3, 4, generator=generator, dtype=torch.float64)
    student.requires_grad_()
    assert torch.autograd.gradcheck(lambda s: latent_gradient_loss(s, teacher), student)
    teacher.requires_grad_()
    latent_gradient_loss(student, teacher)[0].backward()
    assert teacher.grad is None


def test_latents_of_other_shapes_are_refused():
    with pytest.raises(ValueError, match="shape"):
        latent_gradient_loss(torch.zeros(1, 4, 2, 2), torch.zeros(1, 4, 2, 3))
