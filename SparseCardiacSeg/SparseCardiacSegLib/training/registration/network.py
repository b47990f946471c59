"""A network that gives a pair of slices the deformation between them (after VoxelMorph).

Balakrishnan et al., IEEE TMI 38(8), 2019; the diffeomorphic form after Dalca et al., Medical Image Analysis 57, 2019:
a U-Net gives a stationary velocity field, which scaling and squaring integrates to a displacement.
"""

from __future__ import annotations

import torch
from dynamic_network_architectures.architectures.unet import PlainConvUNet
from torch import nn
from torch.nn import functional

CONTEXT = 3
"""Slices of each frame that the network sees: the one to be registered between its neighbours. The heart moves through
the slices as it beats; a neighbour shows what moves in."""

CHANNELS = 2 * CONTEXT
FEATURES = (32, 64, 96, 128, 160)
STEPS = 6
"""Squarings: at the start of the integration a field of 20 pixels is below a third of a pixel."""


class RegistrationNet(nn.Module):
    """Pairs of slices to velocity fields at half their resolution.

    The first stage halves the resolution, and the last one leaves it there: the field is smooth, and the two finest
    stages of a U-Net would take most of the time.
    """

    def __init__(self, features: tuple[int, ...] = FEATURES) -> None:
        super().__init__()
        self.unet = PlainConvUNet(
            input_channels=CHANNELS,
            n_stages=len(features),
            features_per_stage=features,
            conv_op=nn.Conv2d,
            kernel_sizes=3,
            strides=2,
            n_conv_per_stage=2,
            num_classes=2,
            n_conv_per_stage_decoder=1,
            conv_bias=True,
            norm_op=nn.InstanceNorm2d,
            norm_op_kwargs={"eps": 1e-5, "affine": True},
            nonlin=nn.LeakyReLU,
            nonlin_kwargs={"inplace": True},
        )
        last = self.unet.decoder.seg_layers[-1]
        nn.init.normal_(last.weight, std=1e-3)  # training begins next to "nothing moves"
        nn.init.zeros_(last.bias)

    def forward(self, pairs: torch.Tensor) -> torch.Tensor:
        """(batch, 6, h, w), the fixed frame's three slices and then the moving one's, to (batch, 2, h / 2, w / 2)."""
        return self.unet(pairs)


class Registration(nn.Module):
    """What is exported: pairs of slices to displacement fields of their resolution, integration included.

    The velocity is averaged with the negative one of the exchanged pair, so that carrying there and back again is the
    identity, but for interpolation.
    """

    def __init__(self, net: RegistrationNet, symmetric: bool = True) -> None:
        super().__init__()
        self.net = net
        self.symmetric = symmetric

    def forward(self, pairs: torch.Tensor) -> torch.Tensor:
        """(batch, 6, h, w) to (batch, 2, h, w): (d_row, d_col) in pixels, the pull field from fixed to moving."""
        velocity = self.net(pairs)
        if self.symmetric:
            exchanged = torch.cat([pairs[:, CONTEXT:], pairs[:, :CONTEXT]], 1)
            velocity = (velocity - self.net(exchanged)) / 2
        return enlarge(integrate(velocity))


def integrate(velocity: torch.Tensor, steps: int = STEPS) -> torch.Tensor:
    """Displacement of a stationary velocity field (batch, 2, h, w) after unit time, by scaling and squaring.

    Arsigny et al., MICCAI 2006: exp(v) = exp(v / 2^n) composed with itself n times.
    """
    displacement = velocity / 2**steps
    for _ in range(steps):
        displacement = displacement + warp(displacement, displacement)
    return displacement


def warp(image: torch.Tensor, displacement: torch.Tensor) -> torch.Tensor:
    """Look up (batch, channels, h, w) at p + u(p), linearly; edges go on outside.

    Args:
        image: what is looked up.
        displacement: (batch, 2, h, w), (d_row, d_col) in pixels.
    """
    height, width = image.shape[-2:]
    rows = torch.arange(height, dtype=image.dtype, device=image.device).view(1, height, 1)
    cols = torch.arange(width, dtype=image.dtype, device=image.device).view(1, 1, width)
    y = (rows + displacement[:, 0]) * (2 / (height - 1)) - 1
    x = (cols + displacement[:, 1]) * (2 / (width - 1)) - 1
    grid = torch.stack([x, y], -1)
    return functional.grid_sample(image, grid, mode="bilinear", padding_mode="border", align_corners=True)


def enlarge(displacement: torch.Tensor) -> torch.Tensor:
    """A displacement field at twice its resolution, corner pixels on corner pixels, in the finer pixels."""
    height, width = displacement.shape[-2:]
    fine = functional.interpolate(displacement, size=(2 * height, 2 * width), mode="bilinear", align_corners=True)
    scale = torch.tensor([(2 * n - 1) / (n - 1) for n in (height, width)], dtype=fine.dtype, device=fine.device)
    return fine * scale.view(1, 2, 1, 1)
