from __future__ import annotations

import gzip

import numpy as np
import pytest
from io_grids import KINDS, SHAPE, matrix_of, ring_labels
from SparseCardiacSegLib.anatomy import ACDC, ALL, LEFT_ATRIUM, MNMS, SCHEMES, Structure
from SparseCardiacSegLib.errors import InputError
from SparseCardiacSegLib.io import read_segmentation, read_stack, terminology_entry, write_segmentation
from SparseCardiacSegLib.io.nrrd_file import read_header_pairs, read_nrrd_file
from SparseCardiacSegLib.io.terminology import structure_of_entry, structure_of_name
from SparseCardiacSegLib.segmentation import Segmentation
from SparseCardiacSegLib.stack import Stack


def segmentation_of(scheme=ACDC, kind="oblique", shape=SHAPE) -> Segmentation:
    numbers = np.array([0, *scheme.numbers.values()], np.uint8)
    labels = numbers[np.random.default_rng(0).integers(0, len(numbers), shape)]
    return Segmentation(Stack(labels, matrix_of(kind)), scheme)


@pytest.mark.parametrize("scheme", SCHEMES.values(), ids=SCHEMES)
@pytest.mark.parametrize("kind", KINDS)
def test_labels_scheme_and_geometry_come_back_bit_by_bit(tmp_path, scheme, kind):
    written = segmentation_of(scheme, kind)
    write_segmentation(written, tmp_path / "a.seg.nrrd")
    again = read_segmentation(tmp_path / "a.seg.nrrd")
    assert again.scheme == scheme
    assert np.array_equal(again.labels.array, written.labels.array)
    assert np.array_equal(again.labels.ijk_to_ras, written.labels.ijk_to_ras)
    assert again.warnings == ()


def test_the_header_names_colours_and_codes_every_segment(tmp_path):
    write_segmentation(segmentation_of(MNMS), tmp_path / "a.seg.nrrd")
    pairs = read_header_pairs(tmp_path / "a.seg.nrrd")
    assert [pairs[f"Segment{index}_Name"] for index in range(3)] == ["Right ventricle", "Myocardium", "Left ventricle"]
    assert [pairs[f"Segment{index}_LabelValue"] for index in range(3)] == ["3", "2", "1"]
    colour = [float(part) for part in pairs["Segment2_Color"].split()]
    assert np.rint(np.multiply(colour, 255)).tolist() == [220, 70, 60]
    assert pairs["Segment1_Tags"] == (
        "TerminologyEntry:Segmentation category and type - SparseCardiacSeg~SCT^123037004^Anatomical Structure"
        "~SCT^74281007^Myocardium~^^~Anatomic codes - DICOM master list~^^~^^|"
    )
    assert pairs["Segment0_Extent"] == "0 6 0 5 0 4"
    assert "Segment3_ID" not in pairs


def test_the_asked_scheme_is_what_one_gets(tmp_path):
    write_segmentation(segmentation_of(ACDC), tmp_path / "a.seg.nrrd")
    assert read_segmentation(tmp_path / "a.seg.nrrd", MNMS).scheme is MNMS
    asked = read_segmentation(tmp_path / "a.seg.nrrd", MNMS)
    assert np.array_equal(asked.mask(Structure.LV), segmentation_of(ACDC).mask(Structure.LV))
    write_segmentation(segmentation_of(ALL), tmp_path / "b.seg.nrrd")
    with pytest.raises(InputError, match="no number for LA"):
        read_segmentation(tmp_path / "b.seg.nrrd", ACDC)


@pytest.mark.parametrize("suffix", [".nii.gz", ".nrrd", ".mha", ".seg.nrrd"])
def test_labels_are_written_in_the_asked_scheme(tmp_path, suffix):
    write_segmentation(segmentation_of(ACDC), tmp_path / f"a{suffix}", MNMS)
    assert np.array_equal(read_stack(tmp_path / f"a{suffix}").array, segmentation_of(ACDC).in_scheme(MNMS).labels.array)
    with pytest.raises(InputError, match="no number for"):
        write_segmentation(segmentation_of(ACDC), tmp_path / f"b{suffix}", LEFT_ATRIUM)
    assert not (tmp_path / f"b{suffix}").exists()


def test_a_labelled_cine_goes_to_a_label_volume_and_not_to_a_slicer_segmentation(tmp_path):
    cine = segmentation_of(ACDC, shape=(3, *SHAPE))
    with pytest.raises(InputError, match="one file a frame"):
        write_segmentation(cine, tmp_path / "a.seg.nrrd")
    assert not list(tmp_path.iterdir())
    write_segmentation(cine, tmp_path / "a.nii.gz")
    assert np.array_equal(read_segmentation(tmp_path / "a.nii.gz", ACDC).labels.array, cine.labels.array)


def test_the_scheme_of_a_label_volume_is_guessed_in_the_plane_of_its_slices_and_said(tmp_path):
    labels = np.moveaxis(ring_labels(cavity=1, ring=2, other=3), 0, 2)
    matrix = np.diag([9.0, 1.4, 1.4, 1.0])
    write_segmentation(Segmentation(Stack(labels, matrix), MNMS), tmp_path / "a.nii.gz")
    again = read_segmentation(tmp_path / "a.nii.gz")
    assert again.labels.through_plane == 2
    assert again.scheme is MNMS
    assert "guessed as 'mnms'" in again.warnings[0]


def slicer_file(path, segments, array, extra=()):
    """A segmentation file as Slicer writes it when segments overlap: a list axis of layers comes first."""
    lines = [
        "NRRD0004", "type: unsigned char", f"dimension: {array.ndim}", "space: left-posterior-superior",
        "sizes: " + " ".join(str(size) for size in array.shape[::-1]),
        "space directions: " + ("none " if array.ndim == 4 else "") + "(-1.5,0,0) (0,-1.5,0) (0,0,8)",
        "kinds: " + ("list " if array.ndim == 4 else "") + "domain domain domain",
        "encoding: gzip", "space origin: (-12,-9,16)", *extra,
    ]  # fmt: skip
    for index, segment in enumerate(segments):
        lines += [f"Segment{index}_{key}:={value}" for key, value in segment.items()]
    path.write_bytes("\n".join([*lines, "", ""]).encode() + gzip.compress(array.tobytes()))


def test_layers_codes_names_and_unknown_segments_of_a_slicer_file(tmp_path):
    array = np.zeros((2, 4, 5, 2), np.uint8)
    array[0, 0, :3, 0] = 1
    array[0, 0, 1:, 1] = 1
    array[1, 0, :, 0] = 2
    other = "3D Slicer General Anatomy list~SCT^123037004^Anatomical Structure~SCT^87878005^Left Ventricle~^^~x~^^~^^"
    segments = [
        {"ID": "S_1", "Name": "renamed by the user", "Layer": 0, "LabelValue": 1, "Tags": f"TerminologyEntry:{other}|"},
        {"ID": "S_2", "Name": "myocardium", "Layer": 1, "LabelValue": 1, "Tags": "a:b|"},
        {"ID": "S_3", "Name": "Tumour", "Layer": 0, "LabelValue": 2},
    ]
    slicer_file(tmp_path / "a.seg.nrrd", segments, array)
    segmentation = read_segmentation(tmp_path / "a.seg.nrrd")
    assert segmentation.scheme is ACDC
    assert segmentation.labels.array[0, 0].tolist() == [3, 3, 3, 2, 2]
    assert not segmentation.labels.array[1].any()
    assert len(segmentation.warnings) == 1
    assert "Tumour" in segmentation.warnings[0]
    assert segmentation.labels.ijk_to_ras.tolist() == [[1.5, 0, 0, 12], [0, 1.5, 0, 9], [0, 0, 8, 16], [0, 0, 0, 1]]


def test_the_layers_of_a_segmentation_are_no_frames_of_a_cine(tmp_path):
    array = np.zeros((2, 4, 5, 2), np.uint8)
    array[0, 0, 0, 0] = array[1, 0, 0, 1] = 1
    segments = [{"ID": "RV", "Name": "RV", "Layer": 0}, {"ID": "LV", "Name": "LV", "Layer": 1}]
    slicer_file(tmp_path / "a.seg.nrrd", segments, array)
    stack = read_stack(tmp_path / "a.seg.nrrd")
    assert stack.array.shape == (2, 4, 5)
    assert (stack.array[0, 0, 0], stack.array[1, 0, 0]) == (1, 3)


def test_a_file_of_an_old_slicer_has_one_layer_for_each_segment(tmp_path):
    array = np.zeros((2, 4, 5, 2), np.uint8)
    array[0, 0, 0, 0] = array[1, 0, 0, 1] = 1
    slicer_file(tmp_path / "a.seg.nrrd", [{"ID": "RV", "Name": "RV"}, {"ID": "LV", "Name": "LV"}], array)
    labels = read_segmentation(tmp_path / "a.seg.nrrd").labels.array
    assert (labels[0, 0, 0], labels[1, 0, 0]) == (1, 3)


def test_a_file_cropped_to_its_labels_comes_back_on_the_grid_of_its_image(tmp_path):
    array = np.ones((2, 4, 5), np.uint8)
    image = "1.5;0;0;0;0;1.5;0;0;0;0;8;0;0;0;0;1"
    segment = [{"ID": "LV", "Name": "LV", "LabelValue": 1}]

    def extra(matrix: str, offset: str) -> list[str]:
        return [
            f"Segmentation_ConversionParameters:=Reference image geometry|{matrix};0;19;0;24;0;9;|&Other|1|&",
            f"Segmentation_ReferenceImageExtentOffset:={offset}",
        ]

    slicer_file(tmp_path / "a.seg.nrrd", segment, array, extra(image, "8 6 2"))
    whole = read_segmentation(tmp_path / "a.seg.nrrd").labels
    assert whole.shape == (10, 25, 20)
    assert whole.array.sum() == 3 * 40
    assert (whole.array[2:4, 6:10, 8:13] == 3).all()
    assert whole.ijk_to_ras[:3, 3].tolist() == [0, 0, 0]
    for matrix, offset in ((image, "8 6 9"), (image, "7 6 2"), (image.replace("8", "9"), "8 6 2"), ("nan", "8 6 2")):
        slicer_file(tmp_path / "b.seg.nrrd", segment, array, extra(matrix, offset))
        assert read_segmentation(tmp_path / "b.seg.nrrd").labels.shape == (2, 4, 5), (matrix, offset)


def test_a_file_without_any_structure_of_the_heart_is_refused(tmp_path):
    array = np.ones((2, 4, 5), np.uint8)
    slicer_file(tmp_path / "a.seg.nrrd", [{"ID": "S_1", "Name": "Tumour"}], array)
    with pytest.raises(InputError, match="holds only Tumour; none is a structure of the heart"):
        read_segmentation(tmp_path / "a.seg.nrrd")
    slicer_file(tmp_path / "b.seg.nrrd", [{"ID": "LV", "Name": "LV", "Layer": 3}], array)
    with pytest.raises(InputError, match="layer 3 of 1"):
        read_segmentation(tmp_path / "b.seg.nrrd")
    slicer_file(tmp_path / "c.seg.nrrd", [{"ID": "LV", "Name": "LV", "LabelValue": "one"}], array)
    with pytest.raises(InputError, match="label value of segment 0"):
        read_segmentation(tmp_path / "c.seg.nrrd")


def test_a_label_volume_named_seg_nrrd_is_read_by_its_numbers(tmp_path):
    write_segmentation(segmentation_of(ACDC), tmp_path / "a.nrrd")
    (tmp_path / "a.nrrd").rename(tmp_path / "b.seg.nrrd")
    assert read_segmentation(tmp_path / "b.seg.nrrd", ACDC).scheme is ACDC


@pytest.mark.parametrize("structure", list(Structure))
def test_an_entry_and_the_usual_names_lead_back_to_the_structure(structure):
    assert structure_of_entry(terminology_entry(structure)) is structure
    assert structure_of_name(structure.value.lower()) is structure
    assert structure_of_entry("") is None
    assert structure_of_name("aorta") is None


def test_names_are_known_in_any_spelling():
    for name in ("LV", "left_ventricle", "Left Ventricle ", "LV-cavity"):
        assert structure_of_name(name) is Structure.LV
    assert structure_of_name("LV myocardium") is Structure.MYO


def test_a_header_value_with_line_breaks_and_backslashes_survives(tmp_path):
    from SparseCardiacSegLib.io.nrrd_file import write_nrrd_file

    value = "C:\\new\\table\nsecond line \\\\ end"
    array = np.zeros((1, 1, 1), np.uint8)
    write_nrrd_file(tmp_path / "a.nrrd", array, np.eye(4), ["kinds: domain domain domain"], {"key": value}, None)
    assert read_nrrd_file(tmp_path / "a.nrrd").pairs["key"] == value
