"""A UNet whose timestep, task and prompt never change: what depends on them alone is worked out once.

Exact, but for the order of sums:

- the time and class embeddings of every resnet become part of its first convolution's bias;
- cross-attention over the constant prompt becomes two small linear layers, and where its output is
  constant, part of the bias of the layer before it (``folded_attention``);
- queries, keys and values of self-attention come from one matrix;
- a convolution behind an upsampling sees the map before it (``folded_upsampling``);
- a UNet that is read by its features alone ends behind the last block.

What is left is the arithmetic of diffusers' ``UNet2DConditionModel`` without hooks, divisions by one
and copies between layouts: it can be traced, exported and captured in a graph.
"""

from __future__ import annotations

import copy

import torch
import torch.nn.functional as F
from diffusers import UNet2DConditionModel
from torch import nn

from depth_distill_ros.errors import ConfigError
from depth_distill_ros.models.folded_attention import PromptAttention, SelfAttention, linear
from depth_distill_ros.models.folded_upsampling import UpsampledConv

_PLAIN = {
    "addition_embed_type": None,
    "attention_type": "default",
    "center_input_sample": False,
    "class_embeddings_concat": False,
    "cross_attention_norm": None,
    "downsample_padding": 1,
    "dual_cross_attention": False,
    "encoder_hid_dim_type": None,
    "mid_block_scale_factor": 1,
    "resnet_out_scale_factor": 1.0,
    "resnet_skip_time_act": False,
    "resnet_time_scale_shift": "default",
    "time_embedding_act_fn": None,
}
_BLOCKS = (
    "CrossAttnDownBlock2D",
    "CrossAttnUpBlock2D",
    "DownBlock2D",
    "UNetMidBlock2DCrossAttn",
    "UpBlock2D",
    None,
)


class FoldedUNet(nn.Module):
    """Latents in; the decoder blocks' outputs, or the predicted latents, out.

    Args:
        unet: whose weights are copied.
        timestep: the one step.
        labels: (1, C), its class labels: the task.
        prompt: (1, T, D), what its cross-attention sees.
        output: whether ``forward`` is needed, or ``features`` alone.

    Raises:
        ConfigError: the UNet has parts that no preset of this package has.
    """

    @torch.no_grad()
    def __init__(
        self,
        unet: UNet2DConditionModel,
        timestep: int,
        labels: torch.Tensor,
        prompt: torch.Tensor,
        output: bool = True,
    ):
        super().__init__()
        _check(unet)
        self.config = unet.config
        embedding = _embedding(unet, timestep, labels.to(prompt))
        self.conv_in = copy.deepcopy(unet.conv_in)
        self.down = nn.ModuleList(_Down(block, embedding, prompt) for block in unet.down_blocks)
        middle = unet.mid_block
        self.middle = nn.Identity() if middle is None else _Middle(middle, embedding, prompt)
        self.up = nn.ModuleList(_Up(block, embedding, prompt) for block in unet.up_blocks)
        if output:
            self.end = _chain(unet.conv_norm_out, unet.conv_act, unet.conv_out)

    def features(self, latents: torch.Tensor) -> list[torch.Tensor]:
        """Outputs of all up blocks, ``u0`` first, of latents (B, C, h, w)."""
        x = self.conv_in(latents)
        skips, outputs = [x], []
        for block in self.down:
            x = block(x, skips)
        x = self.middle(x)
        for block in self.up:
            x = block(x, skips)
            outputs.append(x)
        return outputs

    def forward(self, latents: torch.Tensor) -> torch.Tensor:
        """Predicted latents (B, C', h, w) of latents (B, C, h, w)."""
        return self.end(self.features(latents)[-1])


class _Block(nn.Module):
    """Resnets, their transformers where there are any, and the convolution that changes the size."""

    def __init__(self, block: nn.Module, embedding: torch.Tensor, prompt: torch.Tensor):
        super().__init__()
        attentions = getattr(block, "attentions", None) or [None] * len(block.resnets)
        self.resnets = nn.ModuleList(_Resnet(resnet, embedding) for resnet in block.resnets)
        self.transformers = nn.ModuleList(
            nn.Identity() if one is None else _Transformer(one, prompt) for one in attentions
        )
        down, up = (getattr(block, f"{way}samplers", None) for way in ("down", "up"))
        self.sampler = copy.deepcopy(down[0].conv) if down else None
        self.sampler = UpsampledConv(up[0].conv) if up else self.sampler


class _Down(_Block):
    def forward(self, x: torch.Tensor, skips: list[torch.Tensor]) -> torch.Tensor:
        """Of a map (B, C, h, w); every map that an up block will need is put at the list's end."""
        for resnet, transformer in zip(self.resnets, self.transformers, strict=True):
            x = transformer(resnet(x))
            skips.append(x)
        if self.sampler is not None:
            x = self.sampler(x)
            skips.append(x)
        return x


class _Middle(_Block):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.resnets[0](x)
        for transformer, resnet in zip(self.transformers, self.resnets[1:], strict=True):
            x = resnet(transformer(x))
        return x


class _Up(_Block):
    def forward(self, x: torch.Tensor, skips: list[torch.Tensor]) -> torch.Tensor:
        """Of a map (B, C, h, w), with a map from the list's end for each resnet."""
        for resnet, transformer in zip(self.resnets, self.transformers, strict=True):
            x = transformer(resnet(torch.cat([x, skips.pop()], dim=1)))
        if self.sampler is not None:
            x = self.sampler(x)
        return x


class _Resnet(nn.Module):
    def __init__(self, resnet: nn.Module, embedding: torch.Tensor):
        super().__init__()
        self.first = _chain(resnet.norm1, resnet.nonlinearity, resnet.conv1)
        self.second = _chain(resnet.norm2, resnet.nonlinearity, resnet.conv2)
        shortcut = resnet.conv_shortcut
        self.shortcut = nn.Identity() if shortcut is None else copy.deepcopy(shortcut)
        self.first[-1].bias += resnet.time_emb_proj(resnet.nonlinearity(embedding))[0]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.shortcut(x) + self.second(self.first(x))


class _Transformer(nn.Module):
    """A map as tokens through attentions and feed-forward layers."""

    def __init__(self, transformer: nn.Module, prompt: torch.Tensor):
        super().__init__()
        self.norm = copy.deepcopy(transformer.norm)
        self.inward = last = _projection(transformer.proj_in)
        self.norms, self.layers = nn.ModuleList(), nn.ModuleList()
        for block in transformer.transformer_blocks:
            for norm, layer in _layers(block, prompt):
                if getattr(layer, "constant", None) is not None:
                    last.bias += layer.constant
                    continue
                self.norms.append(copy.deepcopy(norm))
                self.layers.append(layer)
                last = layer.out
        self.outward = _projection(transformer.proj_out)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        tokens = self.inward(self.norm(x).permute(0, 2, 3, 1).flatten(1, 2))
        for norm, layer in zip(self.norms, self.layers, strict=True):
            tokens = tokens + layer(norm(tokens))
        return x + self.outward(tokens).unflatten(1, x.shape[-2:]).permute(0, 3, 1, 2)


class _FeedForward(nn.Module):
    """GEGLU."""

    def __init__(self, feed: nn.Module):
        super().__init__()
        weights = zip(feed.net[0].proj.weight.chunk(2), feed.net[0].proj.bias.chunk(2), strict=True)
        self.values, self.gate = (linear(*one) for one in weights)
        self.out = copy.deepcopy(feed.net[2])

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return self.out(self.values(tokens) * F.gelu(self.gate(tokens)))


def _check(unet: nn.Module) -> None:
    config = unet.config
    odd = [name for name, value in _PLAIN.items() if config.get(name, value) != value]
    blocks = (*config.down_block_types, config.mid_block_type, *config.up_block_types)
    if odd := [*odd, *(str(name) for name in blocks if name not in _BLOCKS)]:
        raise ConfigError(f"a UNet with {', '.join(odd)} cannot be folded: run it as it is")


def _embedding(unet: nn.Module, timestep: int, labels: torch.Tensor) -> torch.Tensor:
    """Time and class embeddings together, (1, E)."""
    embedding = unet.time_embedding(unet.get_time_embed(labels, timestep))
    classes = unet.get_class_embed(labels, labels)
    return embedding if classes is None else embedding + classes


def _layers(block: nn.Module, prompt: torch.Tensor) -> list[tuple[nn.Module, nn.Module]]:
    """Norms and layers of a transformer block, in the order they run."""
    crossed = block.only_cross_attention
    first = PromptAttention(block.attn1, prompt) if crossed else SelfAttention(block.attn1)
    layers = [(block.norm1, first)]
    if block.attn2 is not None:
        layers.append((block.norm2, PromptAttention(block.attn2, prompt)))
    return [*layers, (block.norm3, _FeedForward(block.ff))]


def _projection(layer: nn.Linear | nn.Conv2d) -> nn.Linear:
    """Of channels, which some UNets have as a convolution of one pixel."""
    return linear(layer.weight.flatten(1), layer.bias)


def _chain(*modules: nn.Module) -> nn.Sequential:
    return nn.Sequential(*(copy.deepcopy(module) for module in modules))
