"""SAM's mask decoder for many images with one prompt each, as training needs it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from segment_anything.modeling import Sam


@dataclass(frozen=True, eq=False)
class Answers:
    """What the decoder gave for a batch.

    Attributes:
        masks: logits (batch, 4, 4 grid, 4 grid): the single mask, then the three of the multimask output.
        quality: predicted IoU of each, (batch, 4).
        upscaled: (batch, channels / 8, 4 grid, 4 grid), of which the masks are weighted sums.
    """

    masks: torch.Tensor
    quality: torch.Tensor
    upscaled: torch.Tensor


def decode_pairs(
    sam: Sam,
    embeddings: torch.Tensor,
    points: torch.Tensor,
    signs: torch.Tensor,
    boxes: torch.Tensor | None,
    origins: torch.Tensor | None = None,
) -> Answers:
    """Decode prompt i on embedding i.

    `MaskDecoder.predict_masks` decodes many prompts on one image: given a batch of images, it pairs each prompt with
    each image. These are its steps without that repetition.

    Args:
        sam: the network.
        embeddings: (batch, channels, grid, grid).
        points: (batch, n, 2) as (x, y) in encoder pixels; n may be 0 where there are boxes.
        signs: (batch, n), 1 in the mask, 0 outside.
        boxes: (batch, 4) as (x0, y0, x1, y1), or None.
        origins: (batch, 2), where the embeddings are of windows: row and col of their corners in encoder pixels.
            Points and boxes are those of the whole picture all the same.
    """
    given = (points, signs) if points.shape[1] else None
    sparse, dense = sam.prompt_encoder(given, boxes, None)
    decoder = sam.mask_decoder
    tokens = torch.cat([decoder.iou_token.weight, decoder.mask_tokens.weight])
    tokens = torch.cat([tokens.expand(len(embeddings), -1, -1), sparse], 1)
    place = sam.prompt_encoder.get_dense_pe().expand(len(embeddings), -1, -1, -1)
    if origins is not None:
        cells = (origins * dense.shape[-1] // sam.image_encoder.img_size).tolist()
        dense, place = (_windows(whole, cells, embeddings.shape[-1]) for whole in (dense, place))
    attended, source = decoder.transformer(embeddings + dense, place, tokens)
    upscaled = decoder.output_upscaling(source.transpose(1, 2).reshape(embeddings.shape))
    weights = [mlp(attended[:, 1 + i]) for i, mlp in enumerate(decoder.output_hypernetworks_mlps)]
    masks = (torch.stack(weights, 1) @ upscaled.flatten(2)).unflatten(2, upscaled.shape[2:])
    return Answers(masks, decoder.iou_prediction_head(attended[:, 0]), upscaled)


def _windows(whole: torch.Tensor, cells: list[list[int]], size: int) -> torch.Tensor:
    """The window of `size` x `size` cells of each picture, from its own corner on."""
    pairs = zip(whole, cells, strict=True)
    return torch.stack([picture[:, row : row + size, col : col + size] for picture, (row, col) in pairs])
