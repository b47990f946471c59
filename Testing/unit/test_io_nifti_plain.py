"""NIfTI written without nibabel, as inside Slicer: read back by nibabel and by ITK."""

from __future__ import annotations

import struct

import nibabel
import numpy as np
import phantom
import pytest
import SimpleITK as sitk  # noqa: N813
from SparseCardiacSegLib.errors import InputError
from SparseCardiacSegLib.io import nifti, read_stack
from SparseCardiacSegLib.io.nifti_plain import write_plain_nifti
from SparseCardiacSegLib.stack import Stack

GRIDS = {
    "straight": {},
    "oblique": {"oblique": True},
    "flipped, left-handed": {"oblique": True, "base_first": False, "left_handed": True},
    "rows through the plane": {"oblique": True, "through_plane": 1},
}


@pytest.fixture(params=GRIDS.values(), ids=GRIDS)
def stack(request):
    image, _labels = phantom.heart(0.0, phantom.grid((7, 20, 24), (8.0, 4.0, 5.0), **request.param))
    return Stack(image.array, image.ijk_to_ras, image.through_plane)


def test_the_file_is_the_one_that_nibabel_would_write(tmp_path, stack):
    write_plain_nifti(stack, tmp_path / "plain.nii.gz")
    nifti.write_nifti(stack, tmp_path / "nibabel.nii.gz")
    plain, other = (nibabel.load(tmp_path / name) for name in ("plain.nii.gz", "nibabel.nii.gz"))
    assert np.array_equal(np.asanyarray(plain.dataobj), np.asanyarray(other.dataobj))
    assert plain.get_data_dtype() == other.get_data_dtype()
    for matrix in ("get_sform", "get_qform"):
        mine, code = getattr(plain, matrix)(coded=True)
        theirs, their_code = getattr(other, matrix)(coded=True)
        assert code == their_code
        assert np.allclose(mine, theirs, atol=2e-5)
    for field in ("dim", "xyzt_units", "magic", "sizeof_hdr", "vox_offset", "bitpix", "datatype"):
        assert np.array_equal(plain.header[field], other.header[field]), field
    assert np.allclose(plain.header["pixdim"], other.header["pixdim"])


def test_itk_which_is_what_slicer_reads_with_puts_it_at_the_same_place(tmp_path, stack):
    write_plain_nifti(stack, tmp_path / "plain.nii")
    image = sitk.ReadImage(str(tmp_path / "plain.nii"))
    assert np.array_equal(sitk.GetArrayFromImage(image), stack.array)
    corner = [size - 1 for size in image.GetSize()]
    lps = image.TransformIndexToPhysicalPoint(corner)
    expected = stack.ijk_to_ras @ [*corner, 1]
    assert np.allclose(np.array(lps) * [-1, -1, 1], expected[:3], atol=1e-3)


def test_a_cine_keeps_its_frames_and_their_times(tmp_path):
    image, _labels = phantom.cine(8, phantom.grid((5, 16, 16), (10.0, 6.0, 6.0), oblique=True))
    write_plain_nifti(image, tmp_path / "cine.nii.gz")
    back = read_stack(tmp_path / "cine.nii.gz")
    assert np.array_equal(back.array, image.array)
    assert np.allclose(back.frame_times, image.frame_times, atol=1e-6)


@pytest.mark.parametrize("kind", ["bool", "uint8", "int16", "uint16", "int32", "float32", "float64"])
def test_every_kind_of_voxel_is_kept(tmp_path, kind):
    array = (np.arange(24).reshape(2, 3, 4) % 2).astype(kind)
    write_plain_nifti(Stack(array, np.diag([1.0, 2.0, 3.0, 1.0])), tmp_path / "kind.nii")
    assert np.array_equal(np.asanyarray(nibabel.load(tmp_path / "kind.nii").dataobj).T, array)


def test_sheared_axes_get_an_sform_alone(tmp_path):
    matrix = np.diag([1.0, 2.0, 3.0, 1.0])
    matrix[0, 2] = 0.7
    write_plain_nifti(Stack(np.zeros((2, 3, 4), np.uint8), matrix), tmp_path / "sheared.nii")
    read = nibabel.load(tmp_path / "sheared.nii")
    assert int(read.header["qform_code"]) == 0
    assert np.allclose(read.affine, matrix)


def test_an_unknown_spacing_is_not_invented(tmp_path):
    stack = Stack(np.zeros((2, 3, 4), np.uint8), np.eye(4), spacing_known=False)
    write_plain_nifti(stack, tmp_path / "unknown.nii")
    assert struct.unpack_from("<3f", (tmp_path / "unknown.nii").read_bytes(), 80) == (0.0, 0.0, 0.0)


def test_an_axis_that_the_format_cannot_hold_is_refused(tmp_path):
    with pytest.raises(InputError, match="too long for NIfTI-1"):
        write_plain_nifti(Stack(np.zeros((1, 1, 40000), np.uint8), np.eye(4)), tmp_path / "long.nii")
    assert list(tmp_path.iterdir()) == []
