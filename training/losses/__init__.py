"""Losses, one equation a file: pure functions of tensors, each with its source in its docstring.

Maps are (B, 1, H, W). A mask has the map's shape, bool or non-negative weights, and marks the valid
pixels; whatever an invalid pixel holds, NaN included, reaches neither value nor gradient. Means
run over all valid elements of the batch, so an image without any contributes nothing, and a batch
without any gives 0 with zero gradients.
"""
