"""One step of the self-test, and what it needs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from .bench import Bench


class Needs(StrEnum):
    """What has to be there for a step."""

    NOTHING = ""
    SEGMENT = "the embedded segmentation model"
    PROMPT = "the embedded promptable model"


@dataclass(frozen=True)
class Step:
    """Something that a user does, and what must come of it.

    Attributes:
        run: does it; raises AssertionError where it went wrong. Its name is the step's name.
        needs: what has to be there.
    """

    run: Callable[[Bench], None]
    needs: Needs = Needs.NOTHING

    @property
    def name(self) -> str:
        """What is tested, in words."""
        return self.run.__name__.replace("_", " ")


def reason_not_to_run(needs: Needs) -> str:
    """Why a step that needs this cannot run here; empty where it can."""
    from ..requirements import missing_packages

    if needs is Needs.NOTHING:
        return ""
    embedded = _embedded(needs)
    if embedded is None:
        return f"this installation lacks {needs.value}"
    missing = missing_packages(embedded, prompting=needs is Needs.PROMPT)
    if missing:
        return "these Python packages are not installed: " + ", ".join(package.module for package in missing)
    return ""


def _embedded(needs: Needs) -> bool | None:
    """Whether the first model needs PyTorch; None where there is no model."""
    if needs is Needs.SEGMENT:
        from ..models import listed_models

        models = listed_models()
    else:
        from ..prompt_models import listed_prompt_models
        from ..settings import current_settings

        models = listed_prompt_models(current_settings().models())
    return models[0].needs_torch if models else None
