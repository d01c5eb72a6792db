"""Full-precision islands: what they cast, and that autocast is back on afterwards."""

from __future__ import annotations

import torch

from training.losses.precision import full_precision


@full_precision
def product(a: torch.Tensor, b: torch.Tensor, scale: float = 1.0) -> torch.Tensor:
    """Multiply matrices, which autocast would do in half precision."""
    return scale * (a @ b)


def test_autocast_is_off_inside_and_on_again_outside():
    a = 1 + torch.rand(8, 8, generator=torch.manual_seed(0)) / 1000
    with torch.autocast("cpu", torch.bfloat16):
        inside = product(a, a)
        outside = a @ a
    assert inside.dtype == torch.float32
    assert torch.equal(inside, a @ a)
    assert outside.dtype == torch.bfloat16


def test_half_precision_is_widened_and_double_kept():
    a = torch.ones(2, 2)
    assert product(a.bfloat16(), b=a.half()).dtype == torch.float32
    assert product(a.double(), a.double(), scale=2.0).dtype == torch.float64


def test_gradients_come_back_in_the_callers_type():
    a = torch.ones(2, 2, dtype=torch.float16, requires_grad=True)
    product(a, torch.ones(2, 2)).sum().backward()
    assert a.grad.dtype == torch.float16
    assert a.grad.tolist() == [[2, 2], [2, 2]]


def test_the_wrapped_function_keeps_its_name_and_docstring():
    assert product.__name__ == "product"
    assert product.__doc__.startswith("Multiply")
