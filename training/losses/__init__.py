"""Losses, one equation a file: pure functions of tensors, each with its source in its docstring.

Maps are (B, 1, H, W), clips (B, T, 1, H, W). A mask has the map's shape, bool or non-negative weights, and marks the valid
pixels; whatever an invalid pixel holds, NaN included, reaches neither value nor gradient. Means
run over all valid elements of the batch, so an image without any contributes nothing, and a batch
without any gives 0 with zero gradients.

| method | losses |
|---|---|
| D³epth, stage 1 | ``latent``, ``feature`` |
| D³epth, stage 2 | ``scale_shift_invariant`` (with ``affine``), ``gradient_matching``, ``dynamic_weighting`` |
| depth prior | ``midas``, ``relative_depth`` |
| FiffDepth | ``latent``, ``scale_shift_invariant``, ``gradient_l1`` |
| ApDepth | ``latent``, ``frequency`` |
| one-step video depth, stage 1 | ``latent_gradient`` (``latent``, ``gradient_l1``) |
| its stage 2, streams | ``silog``, ``affinity``, ``gradient_l1``, ``temporal_gradient`` |

A mean over valid elements takes an optional ``count``, its denominator, in place of the number it
finds in its own arguments. The trainer gives the mean count of a step's micro-batches, over all
processes: the mean of the micro-batches' losses is then the loss of the whole batch, however
unevenly the valid pixels lie.
"""
