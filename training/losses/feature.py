r"""L_FeatKD: features of student blocks against those of teacher blocks of equal shape.

Source: D³epth section 4.1 and Table 3; Kim et al. 2023 (BK-SDM), feature-level distillation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch.nn.functional as F
from torch import Tensor

from depth_distill_ros.errors import ConfigError
from training.losses.precision import autocast_off

Pair = tuple[str, str]  # (student block, teacher block)

_SHALLOW: tuple[Pair, ...] = (("d0", "d0"), ("u2", "u3"))
_INTERMEDIATE: tuple[Pair, ...] = (*_SHALLOW, ("d1", "d1"), ("u1", "u2"))
_FULL: tuple[Pair, ...] = (*_INTERMEDIATE, ("u0", "u1"))

#: Block pairs (student, teacher) of D³epth's Table 3, by preset.
PAIRS: dict[str, tuple[Pair, ...]] = {
    "shallow": _SHALLOW,
    "intermediate": _INTERMEDIATE,
    "full": _FULL,
}


def block_pairs(preset: str) -> tuple[Pair, ...]:
    """Look up a preset of :data:`PAIRS`.

    Raises:
        ConfigError: no preset of this name.
    """
    try:
        return PAIRS[preset]
    except KeyError:
        raise ConfigError(
            f"unknown feature pairs {preset!r}: choose one of {', '.join(PAIRS)}"
        ) from None


def check_pairs(
    student: Mapping[str, Tensor], teacher: Mapping[str, Tensor], pairs: Sequence[Pair]
) -> None:
    """Refuse pairs that cannot be compared, to be called with one forward's features before step 1.

    Args:
        student: block outputs by short name (:class:`depth_distill_ros.models.feature_taps.FeatureTaps`).
        teacher: the same of the teacher.
        pairs: (student block, teacher block).

    Raises:
        ConfigError: no pairs at all, a block that was not recorded, or shapes that differ; the
            message names the pair and both shapes.
    """
    if not pairs:
        raise ConfigError("feature distillation needs at least one pair of blocks")
    for student_name, teacher_name in pairs:
        pair = f"feature pair {student_name} ↔ {teacher_name}'"
        for role, features, name in (
            ("student", student, student_name),
            ("teacher", teacher, teacher_name),
        ):
            if name not in features:
                known = ", ".join(sorted(features)) or "none"
                raise ConfigError(f"{pair}: the {role} has no features of {name} (it has {known})")
        student_shape = tuple(student[student_name].shape)
        teacher_shape = tuple(teacher[teacher_name].shape)
        if student_shape != teacher_shape:
            raise ConfigError(
                f"{pair}: student {student_shape} and teacher {teacher_shape} differ in shape; "
                "choose blocks of equal channels and size, or a student whose "
                "block_out_channels equal the teacher's first ones"
            )


def feature_kd_loss(
    student: Mapping[str, Tensor], teacher: Mapping[str, Tensor], pairs: Sequence[Pair]
) -> Tensor:
    r"""Unweighted sum over block pairs of the mean squared difference of their features.

    .. math::
        L_{FeatKD} = \sum_{(a, b)} \mathrm{mean}\big( (f_S^a - f_T^b)^2 \big)

    No projection layer, no weights (BK-SDM). No gradient reaches the teacher. Computed in float32
    at least, because squares of SD features overflow float16.

    Args:
        student: block outputs (B, C, h, w) by short name.
        teacher: the same of the teacher.
        pairs: (student block, teacher block), such as ``block_pairs("full")``.

    Returns:
        A scalar ≥ 0.

    Raises:
        ConfigError: as :func:`check_pairs`.
    """
    check_pairs(student, teacher, pairs)
    return sum(_mse(student[a], teacher[b].detach()) for a, b in pairs)


def _mse(student: Tensor, teacher: Tensor) -> Tensor:
    with autocast_off(student.device.type):
        wide = student if student.dtype.itemsize >= 4 else student.float()
        return F.mse_loss(wide, teacher.to(wide.dtype))
