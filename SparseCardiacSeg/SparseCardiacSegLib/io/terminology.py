"""Slicer's terminology strings for the structures of the heart."""

from __future__ import annotations

from ..anatomy import CATEGORY, DESCRIPTIONS, TERMINOLOGY_CONTEXT, Code, Structure

ANATOMIC_CONTEXT = "Anatomic codes - DICOM master list"
"""Slicer's own list of anatomic regions; named in every entry though no region is set, as Slicer does itself."""

_NO_CODE = "^^"
_NAMES = {
    Structure.RV: ("rv", "right ventricle", "rv cavity", "right ventricular cavity", "rvc"),
    Structure.MYO: ("myo", "myocardium", "lv myocardium", "left ventricular myocardium", "lvm", "lv wall"),
    Structure.LV: ("lv", "left ventricle", "lv cavity", "left ventricular cavity", "lvc", "lv blood pool"),
    Structure.LA: ("la", "left atrium", "la cavity", "left atrial cavity"),
}


def terminology_entry(structure: Structure) -> str:
    """The segment tag `TerminologyEntry`: context~category~type~modifier~anatomic context~region~modifier."""
    category, kind = _code(CATEGORY), _code(DESCRIPTIONS[structure].type)
    return "~".join((TERMINOLOGY_CONTEXT, category, kind, _NO_CODE, ANATOMIC_CONTEXT, _NO_CODE, _NO_CODE))


def structure_of_entry(entry: str) -> Structure | None:
    """The structure that a `TerminologyEntry` codes, whatever its context; None if it is another one."""
    parts = entry.split("~")
    code = tuple(parts[2].split("^")[:2]) if len(parts) > 2 else ()
    coded = {(description.type.scheme, description.type.value): key for key, description in DESCRIPTIONS.items()}
    return coded.get(code)  # type: ignore[arg-type]


def structure_of_name(name: str) -> Structure | None:
    """The structure that people call `name` (upper or lower case, `_` and `-` as spaces); None if none."""
    plain = " ".join(name.lower().replace("_", " ").replace("-", " ").split())
    return next((structure for structure, names in _NAMES.items() if plain in names), None)


def _code(code: Code) -> str:
    return f"{code.scheme}^{code.value}^{code.meaning}"
