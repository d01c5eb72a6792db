r"""Weights of several losses from how fast each one falls: dynamic weight averaging.

Source: Liu et al. 2019 (End-to-end multi-task learning with attention); D³epth eq. 5.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from depth_distill_ros.errors import ConfigError

# Below this a loss is zero: its quotient would only measure rounding.
_ZERO = 1e-12


class DynamicWeightAverage:
    r"""Weights for K losses, renewed after each epoch from the last two epochs' mean losses.

    .. math::
        \lambda_k(e) = \frac{K \exp(w_k(e-1)/\tau)}{\sum_i \exp(w_i(e-1)/\tau)} , \qquad
        w_k(e-1) = \frac{L_k(e-1)}{L_k(e-2)}

    and w = 1, hence λ = 1, for the first two epochs. The loss that falls slowest weighs most; the
    weights always sum to K. A loss that was zero two epochs ago has no quotient: its w is 1.

    Args:
        names: the losses, at least one, each once.
        temperature: τ > 0; large values even the weights out. D³epth: 2.

    Raises:
        ValueError: no or repeated names, or a temperature that is not positive.

    Example:
        >>> weighting = DynamicWeightAverage(("ssi", "grad"))
        >>> weighting.update({"ssi": 0.4, "grad": 0.2})
        >>> weighting.weights
        {'ssi': 1.0, 'grad': 1.0}
    """

    def __init__(self, names: Sequence[str], temperature: float = 2.0) -> None:
        if not names or len(set(names)) != len(names):
            raise ValueError(f"names must be at least one, each once, got {tuple(names)}")
        if not (math.isfinite(temperature) and temperature > 0):
            raise ValueError(f"temperature must be positive, got {temperature}")
        self.names = tuple(names)
        self.temperature = float(temperature)
        self._history: list[dict[str, float]] = []  # the last two epochs, older first

    @property
    def weights(self) -> dict[str, float]:
        """λ of each loss for the epoch that comes or runs now; they sum to the number of losses."""
        quotients = [self._quotient(name) for name in self.names]
        largest = max(quotients)  # exp of differences ≤ 0 cannot overflow
        powers = [math.exp((value - largest) / self.temperature) for value in quotients]
        total = sum(powers)
        return {
            name: len(self.names) * power / total
            for name, power in zip(self.names, powers, strict=True)
        }

    def update(self, epoch_mean_losses: Mapping[str, float]) -> None:
        """Take the mean losses of the epoch that has ended, unweighted.

        Raises:
            ValueError: other names than the constructor's, or a loss that is negative, NaN or
                infinite. The state is then unchanged.
        """
        if set(epoch_mean_losses) != set(self.names):
            raise ValueError(f"losses {sorted(epoch_mean_losses)} are not {sorted(self.names)}")
        losses = {name: float(epoch_mean_losses[name]) for name in self.names}
        for name, loss in losses.items():
            if not (math.isfinite(loss) and loss >= 0):
                raise ValueError(f"mean loss {name!r} must be finite and not negative, got {loss}")
        self._history = [*self._history[-1:], losses]

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint needs to go on: plain numbers, strings and lists, fit for JSON."""
        return {
            "names": list(self.names),
            "temperature": self.temperature,
            "history": [[losses[name] for name in self.names] for losses in self._history],
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a state of :meth:`state_dict`.

        Raises:
            ConfigError: the state was saved with other losses or another temperature.
        """
        saved = (tuple(state["names"]), float(state["temperature"]))
        if saved != (self.names, self.temperature):
            raise ConfigError(
                f"the checkpoint weighs losses {saved[0]} at temperature {saved[1]:g}, this run "
                f"{self.names} at {self.temperature:g}: resume with the recipe it was saved with"
            )
        restored = DynamicWeightAverage(self.names, self.temperature)
        for values in state["history"]:
            restored.update(dict(zip(self.names, values, strict=True)))
        self._history = restored._history

    def _quotient(self, name: str) -> float:
        if len(self._history) < 2:
            return 1.0
        before, last = (losses[name] for losses in self._history)
        return last / before if before > _ZERO else 1.0
