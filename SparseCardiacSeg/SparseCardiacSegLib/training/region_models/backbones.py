"""Networks that classify slices."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from ...anatomy import SHORT_AXIS
from ...automatic.packages import require
from ...automatic.region_order import CLASSES
from ...automatic.region_window import CONTEXT
from .settings import BACKBONES

_WIDTHS, _BLOCKS = (16, 32, 64, 96), (2, 2, 2, 1)


class _Block(nn.Module):
    """Two convolutions beside a shortcut (He et al. 2016)."""

    def __init__(self, before: int, width: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(before, width, 3, stride, 1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
            nn.Conv2d(width, width, 3, 1, 1, bias=False),
            nn.BatchNorm2d(width),
        )
        same = before == width and stride == 1
        self.shortcut = (
            nn.Identity()
            if same
            else nn.Sequential(nn.Conv2d(before, width, 1, stride, bias=False), nn.BatchNorm2d(width))
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Features of half the resolution where the stride is 2."""
        return torch.relu(self.body(x) + self.shortcut(x))


class SmallNetwork(nn.Module):
    """A residual network of 0.33 M parameters that a processor core trains in minutes.

    Beside the class it learns where RV, MYO and LV are on the slice and its neighbours, in pixels of 8 mm: the drawn
    labels say more than the class of a slice, and the areas and the place of the heart are what the class depends on.
    """

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(CONTEXT, _WIDTHS[0], 5, 2, 2, bias=False),
            nn.BatchNorm2d(_WIDTHS[0]),
            nn.ReLU(inplace=True),
        )
        stages, before = [], _WIDTHS[0]
        for width, blocks in zip(_WIDTHS, _BLOCKS, strict=True):
            first = _Block(before, width, 2 if width != before else 1)
            stages.append(nn.Sequential(first, *(_Block(width, width, 1) for _ in range(blocks - 1))))
            before = width
        self.shallow, self.deep = nn.Sequential(*stages[:-1]), stages[-1]
        maps = CONTEXT * len(SHORT_AXIS)
        self.masks = nn.Sequential(nn.Conv2d(_WIDTHS[-2], 4 * maps, 1), nn.PixelShuffle(2))
        self.head = nn.Sequential(nn.Dropout(0.2), nn.Linear(_WIDTHS[-1] + _WIDTHS[-2] + maps, len(CLASSES)))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits [n, class] of windows [n, CONTEXT, SIDE, SIDE]."""
        return self.with_masks(x)[0]

    def with_masks(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits of the classes, and of the structures [n, CONTEXT * structure, SIDE / 4, SIDE / 4]."""
        features = self.shallow(self.stem(x))
        masks = self.masks(features)
        shares = torch.sigmoid(masks)
        heart = functional.avg_pool2d(shares, 2).mean(1, keepdim=True)
        at_heart = (features * heart).sum((2, 3)) / (heart.sum((2, 3)) + 0.1)
        # The square root of an area is a length: about 0 to 2, as the other features.
        areas = torch.sqrt(shares.mean((2, 3)) * 25 + 1e-3)
        known = torch.cat([self.deep(features).mean((2, 3)), at_heart, areas], 1)
        return self.head(known), masks


def make_backbone(name: str) -> nn.Module:
    """An untrained network; its weights follow from torch's seed.

    Args:
        name: one of `settings.BACKBONES`.

    Raises:
        InputError: torchvision is needed and not installed.
    """
    if name == "small":
        return SmallNetwork()
    require(("torchvision",), "torch", f"the backbone '{name}'")
    from torchvision import models

    return models.get_model(BACKBONES[name], weights=None, num_classes=len(CLASSES))
