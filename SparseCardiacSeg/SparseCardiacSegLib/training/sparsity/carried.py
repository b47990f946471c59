"""Carried labels of a data set: they go where the labels went that they were carried from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from .volumes import SourceVolume


def follow_sources(
    volumes: Sequence[SourceVolume], kept: Mapping[str, tuple[int, ...]], n_slices: Mapping[str, int]
) -> list[tuple[SourceVolume, tuple[int, ...]]]:
    """The synthetic volumes that remain, each with the slices that all of its annotated frames keep.

    A carried label tells what its annotated frames told: were it kept where they are not, it would give away
    annotations that the sparse data set does without. Where motion out of the slices was allowed for, a carried slice
    also tells of both neighbours, which must then be kept as well.

    Args:
        volumes: of the source, annotated and synthetic.
        kept: annotated slices of the volumes that were drawn, by name.
        n_slices: slices of these volumes.
    """
    frames = {
        (volume.patient, volume.propagated["frame"]): volume.name
        for volume in volumes
        if volume.propagated is not None and not volume.synthetic and "frame" in volume.propagated
    }
    followed = []
    for volume in volumes:
        record = volume.propagated
        if record is None or not volume.synthetic:
            continue
        names = [frames.get((volume.patient, source.get("frame"))) for source in record.get("sources", [])]
        drawn = [name for name in names if name in kept]
        if not names or len(drawn) < len(names):
            continue
        common = set.intersection(*(set(kept[name]) for name in drawn))
        within = record.get("dimension") == 2 and record.get("through_plane") is False
        if not within:
            last = n_slices[drawn[0]] - 1
            common = {index for index in common if {max(index - 1, 0), min(index + 1, last)} <= common}
        if common:
            followed.append((volume, tuple(sorted(common))))
    return followed
