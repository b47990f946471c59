"""The networks behind the promptable models: SAM's three, and the embedded one built of SAM's own parts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import InputError
from .slice_geometry import EMBEDDING_CHANNELS, GRID, IMAGE_SIZE

if TYPE_CHECKING:
    from segment_anything.modeling import Sam

SLICE_256 = "slice-256"
ARCHITECTURES = (SLICE_256, "vit_b", "vit_l", "vit_h")


def build(architecture: str) -> Sam:
    """A network of `architecture` with random weights, on the CPU.

    Raises:
        InputError: there is no such architecture.
    """
    from segment_anything import sam_model_registry

    if architecture == SLICE_256:
        return _slice_256()
    if architecture in ARCHITECTURES:
        return sam_model_registry[architecture](checkpoint=None)
    raise InputError(f"unknown architecture '{architecture}'; known are {', '.join(ARCHITECTURES)}")


def _slice_256() -> Sam:
    """SAM's prompt encoder and mask decoder at half their width over `SliceEncoder`."""
    from segment_anything.modeling import MaskDecoder, Sam, TwoWayTransformer

    from .click_map import ClickMapPromptEncoder
    from .slice_encoder import SliceEncoder

    transformer = TwoWayTransformer(depth=2, embedding_dim=EMBEDDING_CHANNELS, mlp_dim=512, num_heads=4)
    return Sam(
        image_encoder=SliceEncoder(),
        prompt_encoder=ClickMapPromptEncoder(
            embed_dim=EMBEDDING_CHANNELS,
            image_embedding_size=(GRID, GRID),
            input_image_size=(IMAGE_SIZE, IMAGE_SIZE),
            mask_in_chans=16,
        ),
        mask_decoder=MaskDecoder(transformer_dim=EMBEDDING_CHANNELS, transformer=transformer, num_multimask_outputs=3),
        pixel_mean=[123.675, 116.28, 103.53],
        pixel_std=[58.395, 57.12, 57.375],
    )
