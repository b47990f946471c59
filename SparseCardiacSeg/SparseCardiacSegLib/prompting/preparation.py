"""Which slice to encode next while the user looks at one of them."""

from __future__ import annotations

from dataclasses import dataclass, field

Place = tuple[int, int]
"""(frame, slice)."""


@dataclass
class Preparation:
    """The slices of a stack or cine that are still to be encoded, nearest first.

    Attributes:
        n_frames, n_slices: size of the volume.
        limit: how many slices may be prepared at all: no more than the worker can keep.
        prepared: what has been encoded.
    """

    n_frames: int
    n_slices: int
    limit: int | None = None
    prepared: set[Place] = field(default_factory=set)
    _wanted: list[Place] = field(default_factory=list)

    @property
    def is_active(self) -> bool:
        """Whether `aim` has been called, and `stop` not since."""
        return bool(self._wanted)

    @property
    def progress(self) -> tuple[int, int]:
        """How many of the wanted slices are encoded, and how many are wanted."""
        return sum(place in self.prepared for place in self._wanted), len(self._wanted)

    def aim(self, frame: int, slice_index: int, all_frames: bool) -> None:
        """Want the slices around one, in order: this frame's by distance, then those of ever more distant frames.

        A heart beats in a circle, so the last frame of a cine lies next to the first.

        Args:
            frame: the frame shown.
            slice_index: the slice shown.
            all_frames: whether the slices of the other frames are wanted too.
        """

        def distance(place: Place) -> tuple[int, int, int, int]:
            apart = abs(place[0] - frame)
            return min(apart, self.n_frames - apart), abs(place[1] - slice_index), *place

        frames = range(self.n_frames) if all_frames else (frame,)
        self._wanted = sorted(((f, s) for f in frames for s in range(self.n_slices)), key=distance)[: self.limit]
        if self.limit is not None:
            self.prepared &= set(self._wanted)  # the worker forgets what was not used for long

    def restrict(self, limit: int) -> None:
        """Want no more than the `limit` nearest slices."""
        self.limit = limit
        self._wanted = self._wanted[:limit]

    def next(self) -> Place | None:
        """The nearest slice that is not encoded; None where there is nothing to do."""
        return next((place for place in self._wanted if place not in self.prepared), None)

    def stop(self) -> None:
        """Want nothing any more; what is prepared stays so."""
        self._wanted = []
