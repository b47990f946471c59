"""The image encoder of the embedded promptable model: a small convolutional net for 256-pixel short-axis slices."""

from __future__ import annotations

import torch
from segment_anything.modeling.common import LayerNorm2d
from torch import nn

from .slice_geometry import EMBEDDING_CHANNELS, IMAGE_SIZE

FEATURES = (16, 32, 64, 128, 256)


class SliceEncoder(nn.Module):
    """A U-Net cut off at a quarter of the resolution, in the place of SAM's ViT.

    Five stages go down to 16 x 16, a dilated block widens what they see to the whole heart, two stages come back up
    to 64 x 64. There, pixel-unshuffled features of the 128 x 128 stage join, so that the embedding keeps the place
    of an edge within its four pixels. Convolutions rather than attention: 30 ms a slice by ONNX
    Runtime and 51 ms by torch on two cores, where SAM's smallest ViT took 12 s (`benchmark_prompting.py`).
    """

    def __init__(self) -> None:
        super().__init__()
        self.img_size = IMAGE_SIZE
        widths = (1, *FEATURES)
        self.stages = nn.ModuleList(
            _block(widths[i], widths[i + 1], stride=1 if i == 0 else 2) for i in range(len(FEATURES))
        )
        self.context = _block(FEATURES[-1], FEATURES[-1], dilation=2)
        self.ups = nn.ModuleList(nn.ConvTranspose2d(a, b, 2, 2) for a, b in ((256, 128), (128, 64)))
        self.merges = nn.ModuleList(_block(2 * width, width) for width in (128, 64))
        self.neck = nn.Sequential(
            nn.Conv2d(FEATURES[2] + 4 * FEATURES[1], EMBEDDING_CHANNELS, 1, bias=False),
            nn.InstanceNorm2d(EMBEDDING_CHANNELS, affine=True),
            nn.LeakyReLU(0.01, inplace=True),
            nn.Conv2d(EMBEDDING_CHANNELS, EMBEDDING_CHANNELS, 1, bias=False),
            # As SAM's own encoder ends. Without it the standard deviation was 2.6, several times that of the prompts.
            LayerNorm2d(EMBEDDING_CHANNELS),
        )

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Encode slices.

        Args:
            image: (batch, 3, 256, 256), normalised and padded as `Sam.preprocess` does; the channels are averaged,
                since a slice is grey.

        Returns:
            (batch, 128, 64, 64) embeddings.
        """
        x = image.mean(1, keepdim=True)
        skips = []
        for stage in self.stages:
            x = stage(x)
            skips.append(x)
        x = x + self.context(x)
        for up, merge, skip in zip(self.ups, self.merges, (skips[3], skips[2]), strict=True):
            x = merge(torch.cat([up(x), skip], 1))
        fine = nn.functional.pixel_unshuffle(skips[1], 2)
        return self.neck(torch.cat([x, fine], 1))


def _block(inputs: int, outputs: int, stride: int = 1, dilation: int = 1) -> nn.Sequential:
    """Two 3 x 3 convolutions, each with instance normalisation; the first one may stride."""

    def layer(a: int, b: int, step: int) -> list[nn.Module]:
        convolution = nn.Conv2d(a, b, 3, step, padding=dilation, dilation=dilation)
        return [convolution, nn.InstanceNorm2d(b, affine=True), nn.LeakyReLU(0.01, inplace=True)]

    return nn.Sequential(*layer(inputs, outputs, stride), *layer(outputs, outputs, 1))
