"""Every bad file is refused with one sentence that names it; no library error comes through."""

from __future__ import annotations

import gzip
from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813
from io_grids import SHAPE, matrix_of, stack_of
from SparseCardiacSegLib.anatomy import ACDC, LEFT_ATRIUM, MNMS
from SparseCardiacSegLib.errors import InputError
from SparseCardiacSegLib.io import read_segmentation, read_stack, write_segmentation, write_stack
from SparseCardiacSegLib.segmentation import Segmentation
from SparseCardiacSegLib.stack import Stack

SUFFIXES = (".nii", ".nii.gz", ".nrrd", ".mha")
NOISE = np.random.default_rng(0).bytes(5000)


def refused(path: Path, because: str) -> str:
    with pytest.raises(InputError, match=because) as caught:
        read_stack(path)
    sentence = str(caught.value)
    assert path.name in sentence
    assert "\n" not in sentence
    with pytest.raises(InputError):
        read_segmentation(path)
    return sentence


@pytest.mark.parametrize("name", ["a.nii.gz", "a.nrrd", "a.seg.nrrd", "a.mha", "folder", "a.dcm"])
def test_a_missing_file_is_refused_with_a_clear_sentence(tmp_path, name):
    refused(tmp_path / name, "does not exist")


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("share", [0.02, 0.4, 0.9, 0.999])
def test_a_truncated_file_is_refused_with_a_clear_sentence(tmp_path, suffix, share):
    path = tmp_path / f"a{suffix}"
    write_stack(stack_of(n_frames=20, dtype="float32"), path)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    refused(path, "truncated|damaged|is not a")


@pytest.mark.parametrize("suffix", [".nii.gz", ".nrrd"])
def test_a_file_that_lacks_only_the_end_of_its_checksum_is_refused(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    write_stack(stack_of(), path)
    path.write_bytes(path.read_bytes()[:-2])
    refused(path, "truncated or damaged")


@pytest.mark.parametrize("suffix", [".nii.gz", ".nrrd", ".mha"])
def test_a_flipped_bit_in_compressed_voxels_is_noticed(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    write_stack(stack_of(n_frames=20), path)
    content = bytearray(path.read_bytes())
    content[-200] ^= 0x10
    path.write_bytes(content)
    refused(path, "truncated or damaged")


@pytest.mark.parametrize("suffix", [*SUFFIXES, ".seg.nrrd"])
def test_an_empty_file_is_refused(tmp_path, suffix):
    (tmp_path / f"a{suffix}").write_bytes(b"")
    refused(tmp_path / f"a{suffix}", "is empty")


@pytest.mark.parametrize("suffix", [*SUFFIXES, ".seg.nrrd"])
@pytest.mark.parametrize("content", [b"This is no image.\n", b"\x00" * 5000, NOISE, b"NRRD", b"\x1f\x8b\x08"])
def test_a_file_of_another_kind_under_an_image_name_is_refused(tmp_path, suffix, content):
    (tmp_path / f"a{suffix}").write_bytes(content)
    refused(tmp_path / f"a{suffix}", "is not a|truncated|damaged")


def test_a_gzipped_text_is_no_nifti(tmp_path):
    (tmp_path / "a.nii.gz").write_bytes(gzip.compress(b"hello " * 1000))
    refused(tmp_path / "a.nii.gz", "is not a NIfTI file")


def test_a_folder_named_like_an_image_and_an_unknown_suffix_are_refused(tmp_path):
    (tmp_path / "a.png").write_bytes(b"\x89PNG")
    assert ".nii.gz" in refused(tmp_path / "a.png", "no known format")
    (tmp_path / "b.nii.gz").mkdir()
    refused(tmp_path / "b.nii.gz", "holds no DICOM images")


def test_colour_and_vector_images_are_refused(tmp_path):
    colour = np.zeros(SHAPE[::-1], [("R", "u1"), ("G", "u1"), ("B", "u1")])
    nibabel.save(nibabel.Nifti1Image(colour, matrix_of("oblique")), tmp_path / "rgb.nii.gz")
    nibabel.save(nibabel.Nifti1Image(np.zeros((4, 5, 6, 1, 3)), np.eye(4)), tmp_path / "vector.nii.gz")
    vectors = sitk.GetImageFromArray(np.zeros((*SHAPE, 3), np.float32), isVector=True)
    for suffix in (".nrrd", ".mha"):
        sitk.WriteImage(vectors, str(tmp_path / f"vector{suffix}"))
    for name in ("rgb.nii.gz", "vector.nii.gz", "vector.nrrd", "vector.mha"):
        refused(tmp_path / name, "several values per voxel")


def test_complex_images_are_refused(tmp_path):
    nibabel.save(nibabel.Nifti1Image(np.zeros(SHAPE, np.complex64), np.eye(4)), tmp_path / "a.nii.gz")
    refused(tmp_path / "a.nii.gz", "complex numbers")


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_voxels_that_are_no_numbers_are_counted_and_refused(tmp_path, suffix, value):
    array = stack_of(dtype="float32").array.copy()
    array[0, 0, :3] = value
    write_stack(Stack(array, matrix_of("oblique")), tmp_path / f"a{suffix}")
    refused(tmp_path / f"a{suffix}", "holds 3 voxels that are not numbers")


@pytest.mark.parametrize("shape", [(6, 7), (2, 2, 2, 2, 2)])
def test_only_three_or_four_dimensions_are_taken(tmp_path, shape):
    nibabel.save(nibabel.Nifti1Image(np.zeros(shape, np.uint8), np.eye(4)), tmp_path / "a.nii.gz")
    refused(tmp_path / "a.nii.gz", "dimensions|several values per voxel")
    sizes = " ".join(str(size) for size in shape)
    header = f"NRRD0004\ntype: uint8\ndimension: {len(shape)}\nsizes: {sizes}\nencoding: raw\n\n"
    (tmp_path / "a.nrrd").write_bytes(header.encode() + bytes(int(np.prod(shape))))
    refused(tmp_path / "a.nrrd", f"has {len(shape)} dimensions; 3 .* or 4 .* are needed")
    if len(shape) == 2:
        sitk.WriteImage(sitk.Image(6, 7, sitk.sitkUInt8), str(tmp_path / "a.mha"))
        refused(tmp_path / "a.mha", "has 2 dimensions")


def test_a_single_slice_is_a_stack(tmp_path):
    nibabel.save(nibabel.Nifti1Image(np.zeros((6, 7, 1), np.uint8), np.diag([1.4, 1.4, 1, 1])), tmp_path / "a.nii.gz")
    assert read_stack(tmp_path / "a.nii.gz").shape == (1, 7, 6)


def test_a_singular_matrix_is_refused(tmp_path):
    image = nibabel.Nifti1Image(np.zeros(SHAPE, np.uint8), matrix_of("oblique"))
    image.header["srow_x"] = image.header["srow_y"]
    content = image.to_bytes()
    header = nibabel.Nifti1Header(content[:348])
    header["srow_x"] = header["srow_y"]
    (tmp_path / "a.nii").write_bytes(header.binaryblock + content[348:])
    refused(tmp_path / "a.nii", "singular")
    text = "NRRD0004\ntype: uint8\ndimension: 3\nspace: RAS\nsizes: 2 2 2\nencoding: raw\n"
    (tmp_path / "a.nrrd").write_bytes(f"{text}space directions: (1,0,0) (2,0,0) (0,0,1)\n\n".encode() + bytes(8))
    refused(tmp_path / "a.nrrd", "singular")


@pytest.mark.parametrize(
    "line",
    [
        "space directions: (1,0,0) (0,1) (0,0,1)",
        "space directions: (1,0,0) (0,x,0) (0,0,1)",
        "space directions: (1,0,0)",
        "space origin: (a,b,c)",
        "sizes: 2 2 two",
        "sizes: 2 0 2",
        "encoding: hex",
        "type: block",
        "byte skip: many",
        "data file: ../nowhere.raw",
        "data file: slice%03d.raw 1 5 1",
    ],
)
def test_a_damaged_or_unusual_nrrd_header_is_refused(tmp_path, line):
    key = line.partition(":")[0]
    lines = ["type: uint8", "dimension: 3", "space: RAS", "sizes: 2 2 2", "encoding: raw"]
    kept = [other for other in lines if other.partition(":")[0] != key]
    (tmp_path / "a.nrrd").write_bytes("\n".join(["NRRD0004", *kept, line, "", ""]).encode() + bytes(8))
    with pytest.raises(InputError):
        read_stack(tmp_path / "a.nrrd")


def test_a_header_that_promises_more_than_memory_holds_is_called_truncated(tmp_path):
    header = "NRRD0004\ntype: double\ndimension: 3\nsizes: 99999999 99999999 99999999\nencoding: raw\n\n"
    (tmp_path / "a.nrrd").write_bytes(header.encode() + bytes(8))
    refused(tmp_path / "a.nrrd", "truncated")
    content = bytearray(nibabel.Nifti1Image(np.zeros(SHAPE, np.uint8), np.eye(4)).to_bytes())
    content[42:48] = np.array([32767] * 3, "<i2").tobytes()
    (tmp_path / "a.nii").write_bytes(content)
    refused(tmp_path / "a.nii", "truncated")


def test_a_frame_or_axis_that_does_not_exist_is_refused(tmp_path):
    write_stack(stack_of(n_frames=3), tmp_path / "a.nii.gz")
    assert read_stack(tmp_path / "a.nii.gz", frame=2).array.ndim == 3
    with pytest.raises(InputError, match="frames 0 to 2; 3 was asked for"):
        read_stack(tmp_path / "a.nii.gz", frame=3)
    with pytest.raises(InputError, match="must be 0, 1 or 2"):
        read_stack(tmp_path / "a.nii.gz", through_plane=3)


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize(
    ("value", "dtype", "because"),
    [
        (0.5, "float32", "holds 0.5, which is no label"),
        (-1, "int16", "negative label -1"),
        (300, "int16", "holds label 300"),
        (7, "uint8", "holds label 7, which scheme 'acdc' does not name"),
    ],
)
def test_values_that_are_no_labels_are_refused(tmp_path, suffix, value, dtype, because):
    array = np.zeros(SHAPE, dtype)
    array[1, 2, 3] = value
    write_stack(Stack(array, matrix_of("oblique")), tmp_path / f"a{suffix}")
    with pytest.raises(InputError, match=because) as caught:
        read_segmentation(tmp_path / f"a{suffix}", ACDC)
    assert f"a{suffix}" in str(caught.value)


@pytest.mark.parametrize("dtype", ["float32", "float64", "int16", "int32", "uint16"])
def test_whole_numbers_of_any_type_are_labels(tmp_path, dtype):
    array = np.zeros(SHAPE, dtype)
    array[1, 2, 3] = 3
    write_stack(Stack(array, matrix_of("oblique")), tmp_path / "a.nii.gz")
    labels = read_segmentation(tmp_path / "a.nii.gz", ACDC).labels.array
    assert labels.dtype == np.uint8
    assert np.array_equal(labels, array)


def test_an_empty_label_file_needs_a_scheme(tmp_path):
    write_stack(Stack(np.zeros(SHAPE, np.uint8), matrix_of("oblique")), tmp_path / "a.nii.gz")
    with pytest.raises(InputError, match=r"a\.nii\.gz is empty, so its label scheme cannot be guessed"):
        read_segmentation(tmp_path / "a.nii.gz")
    assert not read_segmentation(tmp_path / "a.nii.gz", MNMS).labels.array.any()


@pytest.mark.parametrize("name", ["a.png", "a.dcm", "a", "a.mhd", "a.seg.nrrd"])
def test_a_suffix_that_cannot_be_written_is_refused(tmp_path, name):
    with pytest.raises(InputError, match=name.replace(".", r"\.")):
        write_stack(stack_of(), tmp_path / name)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("suffix", [*SUFFIXES, ".seg.nrrd"])
def test_a_folder_that_is_a_file_is_a_clear_sentence_when_writing(tmp_path, suffix):
    (tmp_path / "file").write_text("")
    labels = Segmentation(Stack(np.ones(SHAPE, np.uint8), matrix_of("oblique")), LEFT_ATRIUM)
    with pytest.raises(InputError, match="file is a file, not a folder"):
        write_segmentation(labels, tmp_path / "file" / f"a{suffix}")


def test_metaimage_written_to_a_full_disk_leaves_nothing(tmp_path, monkeypatch):
    def fail(*_args: object, **_kwargs: object) -> None:
        raise RuntimeError("itk::ERROR: MetaImageIO: no space left")

    monkeypatch.setattr(sitk, "WriteImage", fail)
    with pytest.raises(InputError, match=r"cannot write .*a\.mha"):
        write_stack(stack_of(), tmp_path / "a.mha")
    assert not list(tmp_path.iterdir())
