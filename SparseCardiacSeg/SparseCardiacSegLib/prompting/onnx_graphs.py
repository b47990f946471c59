"""The embedded promptable model as two ONNX graphs: image encoder, and prompt encoder with mask decoder.

They are written by hand rather than traced: the decoder then keeps images as [channel, pixel] throughout, where each
projection is one matrix product without a transpose, and all that no prompt changes is folded when the graph is
loaded. That the result is the network's is checked numerically whenever graphs are exported.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import onnx
from onnx import TensorProto

from .click_map import INSIDE_BOX, NEGATIVE, POINT_RADIUS, POSITIVE
from .onnx_nodes import SamWriter

if TYPE_CHECKING:
    from segment_anything.modeling import Sam
    from torch import nn


def encoder_graph(sam: Sam) -> onnx.ModelProto:
    """`SliceEncoder` for one slice.

    Input `image`: float32 [1, 1, 256, 256], normalised, padded with 0. Output `embedding`: float16 [1, 128, 64, 64].
    """
    g = SamWriter(sam)
    encoder = sam.image_encoder
    size = encoder.img_size
    x = "image"
    skips = []
    for i, stage in enumerate(encoder.stages):
        x = g.sequence(x, stage, f"image_encoder.stages.{i}")
        skips.append(x)
    x = g.node("Add", x, g.sequence(x, encoder.context, "image_encoder.context"))
    for i, skip in enumerate((skips[3], skips[2])):
        up = g.layer(x, encoder.ups[i], f"image_encoder.ups.{i}")
        x = g.sequence(g.node("Concat", up, skip, axis=1), encoder.merges[i], f"image_encoder.merges.{i}")
    x = _joined_by_neck(g, x, skips[1], encoder)
    x = g.sequence(x, encoder.neck, "image_encoder.neck", first=1)
    grid = sam.prompt_encoder.image_embedding_size
    half = g.node("Cast", x, to=TensorProto.FLOAT16)
    return g.finish(
        "encoder",
        [("image", TensorProto.FLOAT, (1, 1, size, size))],
        [("embedding", half, TensorProto.FLOAT16, (1, sam.prompt_encoder.embed_dim, *grid))],
    )


def _joined_by_neck(g: SamWriter, x: str, fine: str, encoder: nn.Module) -> str:
    """The neck's first layer; for the fine features, pixel-unshuffle and 1 x 1 are one 2 x 2 convolution, stride 2."""
    name = "image_encoder.neck.0.weight"
    outputs, inputs = encoder.neck[0].weight.shape[:2]
    coarse = inputs - 4 * encoder.stages[1][0].out_channels
    start, middle, end, axis = (g.constant([value], np.int64) for value in (0, coarse, inputs, 1))
    weights = g.node("Slice", g.of(name), start, middle, axis)
    fine_weights = g.node("Slice", g.of(name), middle, end, axis)
    fine_weights = g.reshape(fine_weights, outputs, (inputs - coarse) // 4, 2, 2)
    x = g.node("Conv", x, weights, kernel_shape=(1, 1))
    return g.node("Add", x, g.node("Conv", fine, fine_weights, kernel_shape=(2, 2), strides=(2, 2)))


def decoder_graph(sam: Sam) -> onnx.ModelProto:
    """SAM's prompt encoder and mask decoder for one prompt, with the single mask (token 0) of `multimask_output=False`.

    Inputs: `embedding` float16 [1, channel, 64, 64]; `points` float32 [1, n, 2] as (x, y) in the encoder's pixels,
    before SAM's shift by half a pixel; `labels` float32 [1, n], -1 padding, 0 outside, 1 inside, 2 and 3 the box's
    corners. Outputs: `logits` float32 [1, 1, 256, 256], `score` float32 [1, 1].
    """
    g = SamWriter(sam)
    width, (rows, cols) = sam.prompt_encoder.embed_dim, sam.prompt_encoder.image_embedding_size
    transformer = sam.mask_decoder.transformer
    prompt = _prompt_tokens(g, sam)
    first = [g.of("mask_decoder.iou_token.weight"), g.of("mask_decoder.mask_tokens.weight")]
    tokens = g.node("Concat", *first, prompt, axis=0)
    position = _grid_position(g, rows, cols)
    drawn = g.sequence(_drawing(g, sam), sam.prompt_encoder.mask_downscaling, "prompt_encoder.mask_downscaling")
    image = g.node("Add", g.node("Cast", "embedding", to=TensorProto.FLOAT), drawn)
    image = g.reshape(image, width, rows * cols)

    queries = tokens
    for i, layer in enumerate(transformer.layers):
        name = f"mask_decoder.transformer.layers.{i}"
        heads = layer.self_attn.num_heads
        attended = _among_tokens(g, queries, None if layer.skip_first_layer_pe else tokens, f"{name}.self_attn", heads)
        if not layer.skip_first_layer_pe:
            attended = g.node("Add", queries, attended)
        queries = g.norm(attended, f"{name}.norm1", layer.norm1.eps)
        attention = f"{name}.cross_attn_token_to_image"
        attended = _tokens_to_image(g, g.node("Add", queries, tokens), image, position, attention, heads)
        queries = g.norm(g.node("Add", queries, attended), f"{name}.norm2", layer.norm2.eps)
        hidden = g.node("Relu", g.linear(queries, f"{name}.mlp.lin1"))
        hidden = g.linear(hidden, f"{name}.mlp.lin2")
        queries = g.norm(g.node("Add", queries, hidden), f"{name}.norm3", layer.norm3.eps)
        attention = f"{name}.cross_attn_image_to_token"
        image = _image_to_tokens(g, image, position, g.node("Add", queries, tokens), queries, attention, heads)
        image = g.whitened(image, layer.norm4, f"{name}.norm4")
    name = "mask_decoder.transformer"
    heads = transformer.final_attn_token_to_image.num_heads
    attention = f"{name}.final_attn_token_to_image"
    attended = _tokens_to_image(g, g.node("Add", queries, tokens), image, position, attention, heads)
    queries = g.norm(g.node("Add", queries, attended), f"{name}.norm_final_attn", transformer.norm_final_attn.eps)

    score = _perceptron(g, _token(g, queries, 0), "mask_decoder.iou_prediction_head", 3)
    score = g.node("Slice", score, *(g.constant([value], np.int64) for value in (0, 1, 1)))
    weights = _perceptron(g, _token(g, queries, 1), "mask_decoder.output_hypernetworks_mlps.0", 3)
    logits = _upscaled_mask(g, image, weights, sam, rows, cols)
    return g.finish(
        "decoder",
        [
            ("embedding", TensorProto.FLOAT16, (1, width, rows, cols)),
            ("points", TensorProto.FLOAT, (1, "points", 2)),
            ("labels", TensorProto.FLOAT, (1, "points")),
        ],
        [
            ("logits", logits, TensorProto.FLOAT, (1, 1, 4 * rows, 4 * cols)),
            ("score", score, TensorProto.FLOAT, (1, 1)),
        ],
    )


def _prompt_tokens(g: SamWriter, sam: Sam) -> str:
    """Points and box corners as [n, channel]: where they are, and what kind of prompt they are."""
    width = sam.prompt_encoder.embed_dim
    height, across = sam.prompt_encoder.input_image_size
    centres = g.node("Add", g.reshape("points", -1, 2), g.constant(0.5))
    unit = g.node("Div", centres, g.constant([across, height]))
    place = g.node("Sub", g.node("Mul", unit, g.constant(2)), g.constant(1))
    phase = g.node("MatMul", place, g.of("prompt_encoder.pe_layer.positional_encoding_gaussian_matrix"))
    phase = g.node("Mul", phase, g.constant(2 * math.pi))
    place = g.node("Concat", g.node("Sin", phase), g.node("Cos", phase), axis=1)
    labels = g.reshape("labels", -1, 1)
    place = g.node("Where", _is(g, labels, -1), g.constant(0), place)
    names = ["not_a_point_embed", *(f"point_embeddings.{i}" for i in range(4))]
    kinds = g.node("Concat", *(g.of(f"prompt_encoder.{name}.weight") for name in names), axis=0)
    index = g.node("Cast", g.node("Add", g.reshape("labels", -1), g.constant(1)), to=TensorProto.INT64)
    return g.reshape(g.node("Add", place, g.node("Gather", kinds, index, axis=0)), -1, width)


def _drawing(g: SamWriter, sam: Sam) -> str:
    """`click_map.draw_prompts`: [1, 1, row, col] with the box, then positive points, then negative ones."""
    rows, cols = sam.prompt_encoder.mask_input_size
    x, y = (g.node("Range", g.constant(0), g.constant(size), g.constant(1)) for size in (cols, rows))
    y = g.reshape(y, -1, 1)
    points, labels = g.reshape("points", -1, 2), g.reshape("labels", -1, 1)
    first, last = (g.node("Cast", _is(g, labels, corner), to=TensorProto.FLOAT) for corner in (2, 3))
    over = g.constant([0], np.int64)
    start = g.node("ReduceSum", g.node("Mul", points, first), over, keepdims=0)
    end = g.node("ReduceSum", g.node("Mul", points, last), over, keepdims=0)
    inside = [_between(g, place, _entry(g, start, i), _entry(g, end, i)) for i, place in enumerate((x, y))]
    level = g.node("Mul", g.node("ReduceMax", first, keepdims=0), g.constant(INSIDE_BOX))
    drawn = g.node("Mul", inside[0], g.node("Mul", inside[1], level))
    across, down = (g.reshape(g.node("Gather", points, g.constant([i], np.int64), axis=1), -1, 1, 1) for i in (0, 1))
    across, down = (g.node("Sub", place, centre) for place, centre in ((x, across), (y, down)))
    across, down = g.node("Mul", across, across), g.node("Mul", down, down)
    labels = g.reshape("labels", -1, 1, 1)
    for sign, value in ((1, POSITIVE), (0, NEGATIVE)):
        # Points of another kind are moved far away; the nearest of the others decides.
        barrier = g.node("Where", _is(g, labels, sign), g.constant(0), g.constant(1e9))
        away = g.node("Add", g.node("Add", across, barrier), down)
        nearest = g.node("ReduceMin", away, over, keepdims=0)
        near = g.node("LessOrEqual", nearest, g.constant(POINT_RADIUS**2))
        drawn = g.node("Where", near, g.constant(value), drawn)
    return g.reshape(drawn, 1, 1, rows, cols)


def _is(g: SamWriter, labels: str, kind: int) -> str:
    return g.node("Equal", labels, g.constant(kind))


def _entry(g: SamWriter, values: str, index: int) -> str:
    return g.node("Gather", values, g.constant(index, np.int64), axis=0)


def _between(g: SamWriter, place: str, start: str, end: str) -> str:
    """1 where `place` lies from `start` to `end`, else 0."""
    both = g.node("And", g.node("GreaterOrEqual", place, start), g.node("LessOrEqual", place, end))
    return g.node("Cast", both, to=TensorProto.FLOAT)


def _grid_position(g: SamWriter, rows: int, cols: int) -> str:
    """Positional encoding of the embedding's grid as [channel, pixel]; ONNX Runtime folds it."""
    matrix = g.of("prompt_encoder.pe_layer.positional_encoding_gaussian_matrix")
    x, y = (g.constant((2 * np.arange(n) + 1) / n - 1) for n in (cols, rows))
    start, middle, end, axis = (g.constant([value], np.int64) for value in (0, 1, 2, 0))
    across = g.reshape(g.node("Slice", matrix, start, middle, axis), -1, 1, 1)
    down = g.reshape(g.node("Slice", matrix, middle, end, axis), -1, 1, 1)
    phase = g.node("Add", g.node("Mul", across, x), g.node("Mul", down, g.reshape(y, -1, 1)))
    phase = g.node("Mul", phase, g.constant(2 * math.pi))
    grid = g.node("Concat", g.node("Sin", phase), g.node("Cos", phase), axis=0)
    return g.reshape(grid, -1, rows * cols)


def _heads(g: SamWriter, tokens: str, heads: int) -> str:
    """[token, channel] to [head, token, channel of the head]."""
    return g.transpose(g.reshape(tokens, 0, heads, -1), 1, 0, 2)


def _joined(g: SamWriter, attended: str, name: str) -> str:
    """[head, token, channel of the head] to [token, channel], projected out."""
    inner = g.shapes[f"{name}.out_proj.weight"][1]
    return g.linear(g.reshape(g.transpose(attended, 1, 0, 2), -1, inner), f"{name}.out_proj")


def _scaled(g: SamWriter, queries: str, heads: int, name: str) -> str:
    """Divide by the square root of the head's channels, on the side that is small."""
    inner = g.shapes[f"{name}.q_proj.weight"][0]
    return g.node("Mul", queries, g.constant(1 / math.sqrt(inner // heads)))


def _among_tokens(g: SamWriter, queries: str, position: str | None, name: str, heads: int) -> str:
    """Self-attention of the tokens."""
    placed = queries if position is None else g.node("Add", queries, position)
    q = _heads(g, _scaled(g, g.linear(placed, f"{name}.q_proj"), heads, name), heads)
    k = g.transpose(g.reshape(g.linear(placed, f"{name}.k_proj"), 0, heads, -1), 1, 2, 0)
    v = _heads(g, g.linear(queries, f"{name}.v_proj"), heads)
    weights = g.node("Softmax", g.node("MatMul", q, k), axis=-1)
    return _joined(g, g.node("MatMul", weights, v), name)


def _project_image(g: SamWriter, image: str, position: str | None, name: str, heads: int) -> str:
    """A linear layer on [channel, pixel], as [head, channel of the head, pixel].

    W (image + position) + b is W image + (W position + b), of which the bracket is constant.
    """
    weight = g.of(f"{name}.weight")
    offset = g.column(f"{name}.bias")
    if position is not None:
        offset = g.node("Add", g.node("MatMul", weight, position), offset)
    projected = g.node("Gemm", weight, image, offset)
    return g.reshape(projected, heads, g.shapes[f"{name}.weight"][0] // heads, -1)


def _tokens_to_image(g: SamWriter, queries: str, image: str, position: str, name: str, heads: int) -> str:
    """Tokens look at the image: [token, channel]."""
    q = _heads(g, _scaled(g, g.linear(queries, f"{name}.q_proj"), heads, name), heads)
    k = _project_image(g, image, position, f"{name}.k_proj", heads)
    v = _project_image(g, image, None, f"{name}.v_proj", heads)
    weights = g.node("Softmax", g.node("MatMul", q, k), axis=-1)
    return _joined(g, g.node("MatMul", weights, g.transpose(v, 0, 2, 1)), name)


def _image_to_tokens(g: SamWriter, image: str, position: str, keys: str, values: str, name: str, heads: int) -> str:
    """The image looks at the tokens: `image` [channel, pixel] plus what it saw."""
    q = _project_image(g, image, position, f"{name}.q_proj", heads)
    k = _heads(g, _scaled(g, g.linear(keys, f"{name}.k_proj"), heads, name), heads)
    v = g.transpose(g.reshape(g.linear(values, f"{name}.v_proj"), 0, heads, -1), 1, 2, 0)
    weights = g.node("Softmax", g.node("MatMul", k, q), axis=1)
    inner = g.shapes[f"{name}.out_proj.weight"][1]
    seen = g.reshape(g.node("MatMul", v, weights), inner, -1)
    seen = g.node("Gemm", g.of(f"{name}.out_proj.weight"), seen, g.column(f"{name}.out_proj.bias"))
    return g.node("Add", image, seen)


def _token(g: SamWriter, queries: str, index: int) -> str:
    """One token as [1, channel]."""
    return g.node("Gather", queries, g.constant([index], np.int64), axis=0)


def _perceptron(g: SamWriter, x: str, name: str, layers: int) -> str:
    for i in range(layers):
        x = g.linear(x, f"{name}.layers.{i}")
        if i < layers - 1:
            x = g.node("Relu", x)
    return x


def _upscaled_mask(g: SamWriter, image: str, weights: str, sam: Sam, rows: int, cols: int) -> str:
    """Fourfold upscaling and the product with the mask token's weights: [1, 1, 4 rows, 4 cols].

    A transposed convolution whose stride is its kernel is a matrix product with the sub-pixels as channels; they are
    put in their places once, when only the mask is left.
    """
    name = "mask_decoder.output_upscaling"
    first, norm, _, second, _ = sam.mask_decoder.output_upscaling
    x = _sub_pixels(g, image, first, f"{name}.0")
    x = g.node("Gelu", g.whitened(x, norm, f"{name}.1"))
    x = g.node("Gelu", _sub_pixels(g, x, second, f"{name}.3"))
    mask = g.reshape(g.node("MatMul", weights, x), 2, 2, 2, 2, rows, cols)
    return g.reshape(g.transpose(mask, 4, 2, 0, 5, 3, 1), 1, 1, 4 * rows, 4 * cols)


def _sub_pixels(g: SamWriter, x: str, layer: nn.ConvTranspose2d, name: str) -> str:
    """[in, pixel] to [out, 4 * pixel] in the order (row in the pixel, col in the pixel, pixel)."""
    weight = g.reshape(g.of(f"{name}.weight"), layer.in_channels, 4 * layer.out_channels)
    bias = g.node("Expand", g.column(f"{name}.bias"), g.constant([layer.out_channels, 4], np.int64))
    product = g.node("Gemm", weight, x, g.reshape(bias, -1, 1), transA=1)
    return g.reshape(product, layer.out_channels, -1)
