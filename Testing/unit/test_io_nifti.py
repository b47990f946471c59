from __future__ import annotations

import gzip

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813
from io_grids import KINDS, SHAPE, matrix_of, stack_of
from SparseCardiacSegLib.anatomy import ACDC
from SparseCardiacSegLib.io import read_segmentation, read_stack, write_segmentation, write_stack
from SparseCardiacSegLib.segmentation import Segmentation
from SparseCardiacSegLib.stack import Stack

GEOMETRY = (
    "pixdim", "xyzt_units", "qform_code", "sform_code", "quatern_b", "quatern_c", "quatern_d",
    "qoffset_x", "qoffset_y", "qoffset_z", "srow_x", "srow_y", "srow_z",
)  # fmt: skip


def header_bits(path) -> dict[str, bytes]:
    header = nibabel.load(path).header
    return {name: header[name].tobytes() for name in GEOMETRY}


def oblique_nifti(path, dtype="int16", n_frames=0, kind="oblique", **fields):
    """A NIfTI file as a scanner's converter writes it: qform and sform, which differ in the last float32 bits."""
    shape = SHAPE[::-1] + ((n_frames,) if n_frames else ())
    values = np.random.default_rng(0).integers(0, 4, shape).astype(dtype)
    image = nibabel.Nifti1Image(values, matrix_of(kind))
    image.set_qform(matrix_of(kind), code=1)
    image.set_sform(matrix_of(kind), code=2)
    content = bytearray(image.to_bytes())
    header = nibabel.Nifti1Header(bytes(content[:348]), check=False)
    for name, value in fields.items():
        header[name] = value
    content[:348] = header.binaryblock
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return values


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("n_frames", [0, 3])
def test_a_file_read_and_written_reads_the_same_to_the_bit(tmp_path, suffix, kind, n_frames):
    write_stack(stack_of(kind, n_frames), tmp_path / f"a{suffix}")
    first = read_stack(tmp_path / f"a{suffix}")
    write_stack(first, tmp_path / f"b{suffix}")
    second = read_stack(tmp_path / f"b{suffix}")
    assert first.array.dtype == second.array.dtype == np.int16
    assert np.array_equal(first.array, stack_of(kind, n_frames).array)
    assert np.array_equal(first.array, second.array)
    assert np.array_equal(first.ijk_to_ras, second.ijk_to_ras)
    assert np.allclose(first.ijk_to_ras, matrix_of(kind), rtol=1e-7, atol=1e-6)
    assert (tmp_path / f"a{suffix}").read_bytes() == (tmp_path / f"b{suffix}").read_bytes()


def test_the_array_is_slice_row_column_of_the_file(tmp_path):
    values = oblique_nifti(tmp_path / "a.nii.gz")
    stack = read_stack(tmp_path / "a.nii.gz")
    assert stack.array[4, 3, 2] == values[2, 3, 4]
    assert stack.spacing == pytest.approx((9.9, 1.41, 1.3671875), rel=1e-6)
    assert stack.through_plane == 0
    values = oblique_nifti(tmp_path / "b.nii.gz", n_frames=3)
    assert read_stack(tmp_path / "b.nii.gz").array[1, 4, 3, 2] == values[2, 3, 4, 1]


@pytest.mark.parametrize("kind", ["oblique", "left_handed", "sheared"])
@pytest.mark.parametrize("codes", [(1, 2), (1, 0), (0, 1)])
def test_a_label_file_has_the_geometry_fields_of_its_image_bit_by_bit(tmp_path, kind, codes):
    oblique_nifti(tmp_path / "image.nii.gz", kind=kind, qform_code=codes[0], sform_code=codes[1])
    stack = read_stack(tmp_path / "image.nii.gz")
    labels = Segmentation(stack.with_array((stack.array % 4).astype(np.uint8)), ACDC)
    write_segmentation(labels, tmp_path / "labels.nii.gz")
    assert header_bits(tmp_path / "labels.nii.gz") == header_bits(tmp_path / "image.nii.gz")
    assert nibabel.load(tmp_path / "labels.nii.gz").header.get_data_dtype() == np.uint8
    assert np.array_equal(read_stack(tmp_path / "labels.nii.gz").ijk_to_ras, stack.ijk_to_ras)


def test_labels_of_a_cine_and_of_one_frame_keep_the_geometry_fields_of_the_cine(tmp_path):
    oblique_nifti(tmp_path / "cine.nii.gz", n_frames=3, pixdim=[1, 1.3671875, 1.41, 9.9, 1, 0, 0, 0], xyzt_units=10)
    cine = read_stack(tmp_path / "cine.nii.gz")
    for name, part in (("all", cine), ("one", cine.frame(1))):
        labels = Segmentation(part.with_array((part.array % 4).astype(np.uint8)), ACDC)
        write_segmentation(labels, tmp_path / f"{name}.nii.gz")
        assert header_bits(tmp_path / f"{name}.nii.gz") == header_bits(tmp_path / "cine.nii.gz")
        assert read_segmentation(tmp_path / f"{name}.nii.gz", ACDC).labels.array.shape == part.array.shape


@pytest.mark.parametrize("kind", ["axis_aligned", "oblique", "flipped", "left_handed"])
@pytest.mark.parametrize("n_frames", [0, 2])
def test_itk_sees_our_file_where_it_sees_the_original(tmp_path, kind, n_frames):
    oblique_nifti(tmp_path / "a.nii.gz", kind=kind, n_frames=n_frames)
    write_stack(read_stack(tmp_path / "a.nii.gz"), tmp_path / "b.nii.gz")
    original, ours = sitk.ReadImage(str(tmp_path / "a.nii.gz")), sitk.ReadImage(str(tmp_path / "b.nii.gz"))
    assert ours.GetSpacing() == original.GetSpacing()
    assert ours.GetDirection() == original.GetDirection()
    assert ours.GetOrigin() == original.GetOrigin()
    assert np.array_equal(sitk.GetArrayFromImage(ours), read_stack(tmp_path / "a.nii.gz").array)


@pytest.mark.parametrize("kind", ["axis_aligned", "oblique", "flipped", "left_handed"])
def test_itk_sees_a_new_file_where_the_stack_lies(tmp_path, kind):
    write_stack(stack_of(kind), tmp_path / "a.nii.gz")
    image = sitk.ReadImage(str(tmp_path / "a.nii.gz"))
    for index in ((0, 0, 0), (6, 5, 4), (3, 0, 4)):
        lps = np.array(image.TransformIndexToPhysicalPoint(index))
        assert np.allclose(lps * [-1, -1, 1], (matrix_of(kind) @ [*index, 1])[:3], atol=1e-4)


@pytest.mark.parametrize(
    "dtype", ["uint8", "int8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float32", "float64"]
)
def test_every_voxel_type_is_kept(tmp_path, dtype):
    stack = stack_of(dtype=dtype)
    write_stack(stack, tmp_path / "a.nii.gz")
    again = read_stack(tmp_path / "a.nii.gz").array
    assert again.dtype == dtype
    assert np.array_equal(again, stack.array)


def test_big_endian_files_are_read_in_native_order(tmp_path):
    values = np.arange(210, dtype=np.int16).reshape(SHAPE[::-1])
    header = nibabel.Nifti1Header(endianness=">")
    header.set_data_dtype(np.int16)
    image = nibabel.Nifti1Image(values.astype(">i2"), matrix_of("oblique"), header)
    nibabel.save(image, tmp_path / "big.nii.gz")
    stack = read_stack(tmp_path / "big.nii.gz")
    assert stack.array.dtype == np.dtype("=i2")
    assert np.array_equal(stack.array, values.T)
    write_stack(stack, tmp_path / "again.nii.gz")
    assert np.array_equal(read_stack(tmp_path / "again.nii.gz").ijk_to_ras, stack.ijk_to_ras)


@pytest.mark.parametrize(("slope", "inter", "dtype"), [(1, 0, "int16"), (0, 0, "int16"), (2, -10, "float32")])
def test_scaling_is_applied_and_trivial_scaling_keeps_integers(tmp_path, slope, inter, dtype):
    stored = oblique_nifti(tmp_path / "b.nii", scl_slope=slope, scl_inter=inter).T
    stack = read_stack(tmp_path / "b.nii")
    assert stack.array.dtype == dtype
    assert np.array_equal(stack.array, stored * (slope or 1) + inter)
    write_stack(stack, tmp_path / "c.nii")
    assert np.array_equal(read_stack(tmp_path / "c.nii").array, stack.array)


@pytest.mark.parametrize(
    ("interval", "units", "expected"),
    [(0.03, 8, 0.03), (30, 16, 0.03), (30000, 24, 0.03), (30, 8, 0.03), (1, 8, None), (1, 0, None), (0, 8, None)],
)
def test_frame_times_are_believed_only_where_they_can_be_those_of_a_cine(tmp_path, interval, units, expected):
    pixdim = [1, 1.3671875, 1.41, 9.9, interval, 0, 0, 0]
    oblique_nifti(tmp_path / "a.nii.gz", n_frames=3, pixdim=pixdim, xyzt_units=2 | units)
    times = read_stack(tmp_path / "a.nii.gz").frame_times
    assert times == (None if expected is None else pytest.approx((0, expected, 2 * expected), rel=1e-6))


def test_frame_times_survive_a_round_trip(tmp_path):
    write_stack(stack_of(n_frames=4), tmp_path / "a.nii.gz")
    assert read_stack(tmp_path / "a.nii.gz").frame_times == pytest.approx((0, 0.031, 0.062, 0.093), rel=1e-6)
    untimed = Stack(stack_of(n_frames=4).array, matrix_of("oblique"))
    write_stack(untimed, tmp_path / "b.nii.gz")
    assert read_stack(tmp_path / "b.nii.gz").frame_times is None


def test_a_file_without_spacing_is_read_with_1_mm_and_says_so(tmp_path):
    oblique_nifti(tmp_path / "a.nii.gz", pixdim=[1, 0, 0, 0, 0, 0, 0, 0], qform_code=0, sform_code=0)
    stack = read_stack(tmp_path / "a.nii.gz")
    assert not stack.spacing_known
    assert stack.spacing == (1, 1, 1)
    write_stack(stack, tmp_path / "b.nii.gz")
    assert not read_stack(tmp_path / "b.nii.gz").spacing_known
    oblique_nifti(tmp_path / "c.nii.gz")
    assert read_stack(tmp_path / "c.nii.gz").spacing_known


def test_a_file_without_orientation_lies_where_itk_and_slicer_put_it(tmp_path):
    oblique_nifti(tmp_path / "a.nii.gz", kind="axis_aligned", qform_code=0, sform_code=0)
    stack = read_stack(tmp_path / "a.nii.gz")
    image = sitk.ReadImage(str(tmp_path / "a.nii.gz"))
    lps = np.array(image.TransformIndexToPhysicalPoint((6, 5, 4)))
    assert np.allclose(stack.ijk_to_ras @ [6, 5, 4, 1], [*(lps * [-1, -1, 1]), 1], atol=1e-5)
    assert stack.spacing_known


def test_metres_become_millimetres(tmp_path):
    image = nibabel.Nifti1Image(np.zeros(SHAPE[::-1], np.uint8), np.diag([0.0014, 0.0014, 0.008, 1]))
    image.header["xyzt_units"] = 1
    nibabel.save(image, tmp_path / "a.nii.gz")
    stack = read_stack(tmp_path / "a.nii.gz")
    assert stack.spacing == pytest.approx((8, 1.4, 1.4), rel=1e-6)
    write_stack(stack, tmp_path / "b.nii.gz")
    assert np.array_equal(read_stack(tmp_path / "b.nii.gz").ijk_to_ras, stack.ijk_to_ras)


def test_nifti_2_keeps_its_float64_matrix(tmp_path):
    nibabel.save(nibabel.Nifti2Image(np.zeros(SHAPE[::-1], np.uint8), matrix_of("oblique")), tmp_path / "a.nii.gz")
    stack = read_stack(tmp_path / "a.nii.gz")
    assert np.array_equal(stack.ijk_to_ras, matrix_of("oblique"))
    write_stack(stack, tmp_path / "b.nii.gz")
    assert np.array_equal(read_stack(tmp_path / "b.nii.gz").ijk_to_ras, stack.ijk_to_ras)


def test_a_stack_moved_since_it_was_read_is_not_written_where_it_was(tmp_path):
    oblique_nifti(tmp_path / "a.nii.gz")
    stack = read_stack(tmp_path / "a.nii.gz")
    moved = Stack(stack.array, matrix_of("flipped"), meta=stack.meta)
    write_stack(moved, tmp_path / "b.nii.gz")
    assert np.allclose(read_stack(tmp_path / "b.nii.gz").ijk_to_ras, matrix_of("flipped"), atol=1e-5)


def test_a_compressed_file_without_gz_in_its_name_is_read(tmp_path):
    oblique_nifti(tmp_path / "a.nii.gz")
    (tmp_path / "b.nii").write_bytes((tmp_path / "a.nii.gz").read_bytes())
    assert np.array_equal(read_stack(tmp_path / "b.nii").array, read_stack(tmp_path / "a.nii.gz").array)


@pytest.mark.shared
@pytest.mark.parametrize(
    "name",
    [
        "acdc/patient002_frame01.nii.gz",
        "acdc_cine/patient002_4dcrop.nii.gz",
        "mnms_examples/mnms_sax_ed.nii.gz",
        "mnms_examples/mnms2_lax_4c_es.nii.gz",
        "la/la_001_gt.nii.gz",
        "sunnybrook_ep_pig/pig_sax_4d_autoseg.nii.gz",
    ],
)
def test_real_files_come_back_bit_by_bit_in_every_format(shared_data, tmp_path, name):
    first = read_stack(shared_data / name)
    for suffix in (".nii.gz", ".nii", ".nrrd", ".mha"):
        write_stack(first, tmp_path / f"a{suffix}")
        again = read_stack(tmp_path / f"a{suffix}")
        assert again.array.dtype == first.array.dtype
        assert np.array_equal(again.array, first.array)
        assert np.array_equal(again.ijk_to_ras, first.ijk_to_ras), suffix
    assert header_bits(tmp_path / "a.nii.gz") == header_bits(shared_data / name)


def test_a_sheared_grid_has_no_quaternion_that_would_say_something_else(tmp_path):
    write_stack(stack_of("sheared"), tmp_path / "a.nii.gz")
    write_stack(stack_of("oblique"), tmp_path / "b.nii.gz")
    sheared, straight = (nibabel.load(tmp_path / name).header for name in ("a.nii.gz", "b.nii.gz"))
    assert (int(sheared["qform_code"]), int(sheared["sform_code"])) == (0, 1)
    assert (int(straight["qform_code"]), int(straight["sform_code"])) == (1, 1)
