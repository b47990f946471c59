from __future__ import annotations

import json

import pytest
import slicer
from SparseCardiacSegLib.anatomy import CATEGORY, DESCRIPTIONS, TERMINOLOGY_CONTEXT, Structure
from SparseCardiacSegLib.io.terminology import terminology_entry
from SparseCardiacSegLib.mrml import host


def test_the_terminology_file_says_what_anatomy_says():
    content = json.loads(host.TERMINOLOGY_FILE.read_text())
    assert content["SegmentationCategoryTypeContextName"] == TERMINOLOGY_CONTEXT
    (category,) = content["SegmentationCodes"]["Category"]
    assert (category["CodingSchemeDesignator"], category["CodeValue"], category["CodeMeaning"]) == (
        CATEGORY.scheme,
        CATEGORY.value,
        CATEGORY.meaning,
    )
    listed = [
        (
            one["CodingSchemeDesignator"],
            one["CodeValue"],
            one["CodeMeaning"],
            tuple(one["recommendedDisplayRGBValue"]),
        )
        for one in category["Type"]
    ]
    assert listed == [(d.type.scheme, d.type.value, d.type.meaning, d.colour) for d in DESCRIPTIONS.values()]


@pytest.mark.parametrize("structure", list(Structure))
def test_slicer_knows_every_structure_by_its_entry_and_colour(structure):
    logic = host.module_logic("Terminologies")
    assert logic.IsTerminologyContextLoaded(TERMINOLOGY_CONTEXT)
    entry = slicer.vtkSlicerTerminologyEntry()
    assert logic.DeserializeTerminologyEntry(terminology_entry(structure), entry)
    assert logic.UpdateEntryFromLoadedTerminologies(entry, [], [])
    assert entry.GetTerminologyContextName() == TERMINOLOGY_CONTEXT
    assert entry.GetCategoryObject().GetCodeValue() == CATEGORY.value
    assert entry.GetTypeObject().GetCodeMeaning() == DESCRIPTIONS[structure].type.meaning
    assert entry.GetTypeObject().GetRecommendedDisplayRGBValue() == DESCRIPTIONS[structure].colour
    assert logic.SerializeTerminologyEntry(entry) == terminology_entry(structure)


def test_a_missing_terminology_file_is_told(monkeypatch, tmp_path):
    monkeypatch.setattr(host, "TERMINOLOGY_FILE", tmp_path / "none.term.json")
    with pytest.raises(RuntimeError, match=r"none\.term\.json could not be loaded"):
        host.load_terminology(slicer.vtkSlicerTerminologiesModuleLogic())
