"""Normal ranges of adults, each with its source, sex and papillary convention, and where a value lies in them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from ..errors import InputError

Sex = Literal["male", "female"]
Verdict = Literal["below", "within", "above"]
Convention = Literal["in volume", "in mass", "any"]
"""Where papillary muscles count: with the cavity, as in ACDC and M&Ms labels, or with the muscle."""

SEXES: tuple[Sex, ...] = ("male", "female")

UK_BIOBANK = (
    "Petersen SE et al., J Cardiovasc Magn Reson 2017;19:18 (UK Biobank, 804 healthy Caucasian adults of 45 to 74 "
    "years, 1.5 T)"
)
KAWEL_BOEHM = (
    "Kawel-Boehm N et al., J Cardiovasc Magn Reson 2015;17:29 (pooled studies of adults, steady-state imaging)"
)
WALL = "usual upper limit of end-diastolic wall thickness in adults"
HEART_FAILURE = "ESC 2021 and AHA/ACC/HFSA 2022 guidelines"


@dataclass(frozen=True)
class NormalRange:
    """What is normal for one measure in one sex.

    Attributes:
        part: "lv", "rv" or "wall".
        key: key of the measure in `clinical_measures`.
        sex: of the people studied.
        convention: of papillary muscles.
        mean: and sd: as published; None for a limit that was published as such.
        lower: mean - 2 SD; None where there is no lower limit.
        upper: mean + 2 SD, or the published limit.
        unit: of all of them.
        source: publication.
    """

    part: str
    key: str
    sex: Sex
    convention: Convention
    mean: float | None
    sd: float | None
    lower: float | None
    upper: float | None
    unit: str
    source: str

    def verdict(self, value: float) -> Verdict:
        """Where a value lies; the limits themselves are within."""
        if self.lower is not None and value < self.lower:
            return "below"
        return "above" if self.upper is not None and value > self.upper else "within"


_Row = tuple[str, str, str, tuple[float, float], tuple[float, float]]

_IN_VOLUME: tuple[_Row, ...] = (
    ("lv", "edv_ml", "mL", (166, 32), (124, 21)),
    ("lv", "ef_pct", "%", (58, 5), (61, 5)),
    ("lv", "mass_index_g_m2", "g/m2", (53, 9), (42, 7)),
    ("rv", "ef_pct", "%", (54, 6), (58, 6)),
)
"""Petersen et al. 2017: mean and SD of men, of women."""

_IN_MASS: tuple[_Row, ...] = (
    ("lv", "edv_ml", "mL", (160, 27), (132, 23)),
    ("lv", "edv_index_ml_m2", "mL/m2", (81, 12), (76, 10)),
    ("lv", "esv_ml", "mL", (54, 14), (44, 11)),
    ("lv", "esv_index_ml_m2", "mL/m2", (26, 6), (24, 5)),
    ("lv", "sv_ml", "mL", (108, 18), (87, 15)),
    ("lv", "ef_pct", "%", (67, 5), (67, 5)),
    ("lv", "mass_g", "g", (134, 21), (98, 21)),
    ("lv", "mass_index_g_m2", "g/m2", (67, 9), (61, 10)),
    ("rv", "edv_ml", "mL", (163, 27), (127, 24)),
    ("rv", "esv_ml", "mL", (57, 17), (44, 15)),
    ("rv", "ef_pct", "%", (66, 7), (66, 7)),
)
"""Kawel-Boehm et al. 2015: mean and SD of men, of women."""


def _published(rows: tuple[_Row, ...], convention: Convention, source: str) -> tuple[NormalRange, ...]:
    return tuple(
        NormalRange(part, key, sex, convention, mean, sd, mean - 2 * sd, mean + 2 * sd, unit, source)
        for part, key, unit, *both in rows
        for sex, (mean, sd) in zip(SEXES, both, strict=True)
    )


RANGES: tuple[NormalRange, ...] = (
    *_published(_IN_VOLUME, "in volume", UK_BIOBANK),
    *_published(_IN_MASS, "in mass", KAWEL_BOEHM),
    NormalRange("wall", "thickest_segment_mm", "male", "any", None, None, None, 12.0, "mm", WALL),
    NormalRange("wall", "thickest_segment_mm", "female", "any", None, None, None, 11.0, "mm", WALL),
)
"""All that is known. LVEF differs by 9 points between the two sources for men: convention, not disease."""


def checked_sex(sex: str | None) -> Sex | None:
    """`sex` as this module writes it; "m", "f", "man", "woman" are understood too.

    Raises:
        InputError: another word.
    """
    if sex is None or not sex.strip():
        return None
    word = sex.strip().lower()
    found = {"m": "male", "male": "male", "man": "male", "f": "female", "female": "female", "woman": "female"}.get(word)
    if found is None:
        raise InputError(f"unknown sex '{sex}'; normal ranges are known for male and female")
    return found  # type: ignore[return-value]


def checked_convention(name: str) -> Convention:
    """A papillary convention by its name: "volume" or "mass", with or without "in".

    Raises:
        InputError: another word.
    """
    word = name.strip().lower().removeprefix("in ")
    if word not in ("volume", "mass"):
        raise InputError(f"unknown papillary convention '{name}'; known are volume and mass")
    return "in volume" if word == "volume" else "in mass"


def ranges_of(part: str, key: str, sex: Sex | None = None, convention: Convention = "in volume") -> list[NormalRange]:
    """Ranges of one measure: that of `sex`, or those of both where the sex is unknown; none where there is none."""
    return [
        one
        for one in RANGES
        if (one.part, one.key) == (part, key) and one.convention in (convention, "any") and sex in (None, one.sex)
    ]


def range_record(
    part: str, key: str, value: float | None, sex: Sex | None, convention: Convention = "in volume"
) -> list[dict[str, Any]]:
    """The ranges of one measure with the verdict on `value`, as plain JSON values; no verdict on None."""
    return [
        {
            "sex": one.sex,
            "lower": one.lower,
            "upper": one.upper,
            "mean": one.mean,
            "sd": one.sd,
            "unit": one.unit,
            "verdict": None if value is None else one.verdict(value),
            "papillary_muscles": one.convention,
            "source": one.source,
        }
        for one in ranges_of(part, key, sex, convention)
    ]


def range_text(records: list[Mapping[str, Any]] | None, digits: int = 0) -> str:
    """Ranges and verdicts in words: "102 to 230 (men): within"; empty where there is none."""
    words = {"male": "men", "female": "women"}
    parts = []
    for one in records or []:
        span = f"up to {one['upper']:.{digits}f}"
        if one["lower"] is not None:
            span = f"{one['lower']:.{digits}f} to {one['upper']:.{digits}f}"
        verdict = f": {one['verdict']}" if one["verdict"] else ""
        parts.append(f"{span} ({words[one['sex']]}){verdict}")
    return "; ".join(parts)


def ejection_fraction_class(ef_pct: float) -> str:
    """Name of the heart-failure guidelines' class of an LV ejection fraction: reduced, mildly reduced or preserved.

    ESC 2021 and AHA 2022: <= 40, 41 to 49, >= 50 %; a value in between goes by the whole percent nearest to it.
    """
    whole = int(ef_pct + 0.5)
    return (
        "reduced (<= 40 %)" if whole <= 40 else "mildly reduced (41 to 49 %)" if whole < 50 else "preserved (>= 50 %)"
    )
