"""Block outputs of a diffusers UNet, recorded while a context is open."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import final

from torch import Tensor, nn

from depth_distill_ros.errors import ConfigError

_WRAPPERS = ("module", "_orig_mod")  # DistributedDataParallel and its like; torch.compile


def unwrap(module: nn.Module) -> nn.Module:
    """The network inside any nesting of DistributedDataParallel, torch.compile and the like."""
    while True:
        inner = (getattr(module, name, None) for name in _WRAPPERS)
        found = next((candidate for candidate in inner if isinstance(candidate, nn.Module)), None)
        if found is None:
            return module
        module = found


def named_blocks(unet: nn.Module) -> dict[str, nn.Module]:
    """Blocks of a UNet2DConditionModel, wrapped or not, by short name, in the order they run.

    ``d0, d1, …`` down, ``m`` middle where there is one, ``u0, u1, …`` up.
    """
    unet = unwrap(unet)
    blocks = {f"d{index}": block for index, block in enumerate(unet.down_blocks)}
    if unet.mid_block is not None:
        blocks["m"] = unet.mid_block
    return blocks | {f"u{index}": block for index, block in enumerate(unet.up_blocks)}


@final
class FeatureTaps(Mapping[str, Tensor]):
    """Record block outputs of a UNet's forward passes inside a ``with`` statement.

    A mapping from short name to the output (B, C, h, w) of the last forward pass, in the type that
    autocast gave it and with its graph. Of blocks that return tuples it is the first element, the
    hidden states behind the down- or upsampler. The hooks sit on the unwrapped network, so that
    names and outputs are the same under DistributedDataParallel; under torch.compile the context
    must be open before the first call, because that call compiles the hooks in or leaves them out.

    The hooks are gone once the ``with`` statement ends; the features stay until :meth:`clear`, the
    next forward pass or the end of this object. They keep their graph alive as long.

    Args:
        unet: a UNet2DConditionModel or a wrapper around one.
        names: blocks to record, see :func:`named_blocks`.

    Raises:
        ConfigError: a name that is no block of this UNet.

    Example:
        >>> with FeatureTaps(unet, ("d0", "u2")) as taps:   # doctest: +SKIP
        ...     sample = unet(latents, timestep, prompt, class_labels=task).sample
        ...     loss = taps["d0"].square().mean()
    """

    def __init__(self, unet: nn.Module, names: Sequence[str]) -> None:
        blocks = named_blocks(unet)
        unknown = [name for name in names if name not in blocks]
        if unknown:
            raise ConfigError(
                f"the UNet has no block {', '.join(unknown)}: it has {', '.join(blocks)}"
            )
        self._blocks = {name: blocks[name] for name in names}
        self._features: dict[str, Tensor] = {}
        self._handles: list = []

    def __enter__(self) -> FeatureTaps:
        if self._handles:
            raise RuntimeError("these feature taps are already open")
        self.clear()
        self._handles = [
            block.register_forward_hook(self._recorder(name))
            for name, block in self._blocks.items()
        ]
        return self

    def __exit__(self, *exception: object) -> None:
        for handle in self._handles:
            handle.remove()
        self._handles = []

    def __getitem__(self, name: str) -> Tensor:
        return self._features[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._features)

    def __len__(self) -> int:
        return len(self._features)

    def clear(self) -> None:
        """Forget the features, and with them their graph."""
        self._features.clear()

    def _recorder(self, name: str):
        features = self._features

        def record(_block: nn.Module, _arguments: tuple, output: Tensor | tuple) -> None:
            features[name] = output[0] if isinstance(output, tuple) else output

        return record
