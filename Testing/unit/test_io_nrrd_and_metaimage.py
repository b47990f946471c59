from __future__ import annotations

import gzip

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813
from io_grids import KINDS, SHAPE, matrix_of, stack_of
from SparseCardiacSegLib.io import file_stem, read_stack, write_stack
from SparseCardiacSegLib.io.metaimage import split_exactly
from SparseCardiacSegLib.stack import Stack

BOTH = pytest.mark.parametrize("suffix", [".nrrd", ".mha"])


@BOTH
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("n_frames", [0, 3])
def test_any_float64_matrix_and_all_voxels_come_back_bit_by_bit(tmp_path, suffix, kind, n_frames):
    stack = stack_of(kind, n_frames)
    write_stack(stack, tmp_path / f"a{suffix}")
    again = read_stack(tmp_path / f"a{suffix}")
    assert np.array_equal(again.ijk_to_ras, stack.ijk_to_ras)
    assert again.array.dtype == stack.array.dtype
    assert np.array_equal(again.array, stack.array)
    assert again.spacing_known
    write_stack(again, tmp_path / f"b{suffix}")
    assert (tmp_path / f"a{suffix}").read_bytes() == (tmp_path / f"b{suffix}").read_bytes()


@BOTH
def test_random_matrices_come_back_bit_by_bit(tmp_path, suffix):
    rng = np.random.default_rng(3)
    for _ in range(40):
        matrix = np.eye(4)
        matrix[:3] = rng.normal(size=(3, 4)) * rng.choice([0.1, 1, 10, 100], size=4)
        write_stack(Stack(np.zeros((2, 2, 2), np.uint8), matrix), tmp_path / f"a{suffix}")
        assert np.array_equal(read_stack(tmp_path / f"a{suffix}").ijk_to_ras, matrix)


@BOTH
@pytest.mark.parametrize("kind", KINDS)
def test_itk_sees_our_file_where_the_stack_lies(tmp_path, suffix, kind):
    stack = stack_of(kind)
    write_stack(stack, tmp_path / f"a{suffix}")
    image = sitk.ReadImage(str(tmp_path / f"a{suffix}"))
    assert np.array_equal(sitk.GetArrayFromImage(image), stack.array)
    for index in ((0, 0, 0), (6, 5, 4), (3, 0, 4)):
        lps = np.array(image.TransformIndexToPhysicalPoint(index))
        assert np.allclose(lps * [-1, -1, 1], (matrix_of(kind) @ [*index, 1])[:3], atol=1e-12)


@BOTH
@pytest.mark.parametrize("n_frames", [0, 3])
@pytest.mark.parametrize("compressed", [False, True])
def test_files_written_by_itk_are_read(tmp_path, suffix, n_frames, compressed):
    stack = stack_of("left_handed", n_frames)
    image = sitk.GetImageFromArray(stack.array, isVector=False)
    n_axes = stack.array.ndim
    direction, spacing, origin = np.eye(n_axes), np.full(n_axes, 0.031), np.zeros(n_axes)
    spacing[:3] = stack.spacing[::-1]
    direction[:3, :3] = np.diag([-1, -1, 1]) @ matrix_of("left_handed")[:3, :3] / spacing[:3]
    origin[:3] = matrix_of("left_handed")[:3, 3] * [-1, -1, 1]
    image.SetSpacing(spacing.tolist())
    image.SetDirection(direction.ravel().tolist())
    image.SetOrigin(origin.tolist())
    sitk.WriteImage(image, str(tmp_path / f"a{suffix}"), compressed)
    again = read_stack(tmp_path / f"a{suffix}")
    assert np.array_equal(again.array, stack.array)
    assert np.allclose(again.ijk_to_ras, stack.ijk_to_ras, atol=1e-12)
    assert again.frame_times == (pytest.approx(stack.frame_times) if n_frames else None)


@BOTH
@pytest.mark.parametrize("dtype", ["uint8", "int8", "int16", "uint16", "int32", "uint32", "float32", "float64"])
def test_every_voxel_type_is_kept(tmp_path, suffix, dtype):
    stack = stack_of(dtype=dtype)
    write_stack(stack, tmp_path / f"a{suffix}")
    again = read_stack(tmp_path / f"a{suffix}").array
    assert again.dtype == dtype
    assert np.array_equal(again, stack.array)


def test_frame_times_of_a_nrrd_come_back_exactly_even_if_uneven(tmp_path):
    times = (0.0, 0.031, 0.063, 0.0941)
    write_stack(Stack(stack_of(n_frames=4).array, matrix_of("oblique"), frame_times=times), tmp_path / "a.seq.nrrd")
    assert read_stack(tmp_path / "a.seq.nrrd").frame_times == times
    write_stack(Stack(stack_of(n_frames=4).array, matrix_of("oblique")), tmp_path / "b.nrrd")
    assert read_stack(tmp_path / "b.nrrd").frame_times is None


def nrrd(path, header: str, data: bytes) -> None:
    path.write_bytes(f"NRRD0005\n{header.strip()}\n\n".encode() + data)


def test_a_sequence_with_the_list_axis_first_is_read_as_a_cine(tmp_path):
    values = np.arange(3 * 2 * 4 * 5, dtype=np.int16).reshape(2, 4, 5, 3)  # k, j, i, list
    header = """
type: short
dimension: 4
space: left-posterior-superior
sizes: 3 5 4 2
space directions: none (1.5,0,0) (0,1.5,0) (0,0,8)
kinds: list domain domain domain
labels: "time" "" "" ""
units: "ms" "" "" ""
endian: little
encoding: gzip
space origin: (1,2,3)
axis 0 index type:=numeric
axis 0 index values:=10 41 73
"""
    nrrd(tmp_path / "a.seq.nrrd", header, gzip.compress(values.tobytes()))
    stack = read_stack(tmp_path / "a.seq.nrrd")
    assert stack.array.shape == (3, 2, 4, 5)
    assert np.array_equal(stack.array[1], values[..., 1])
    assert stack.frame_times == pytest.approx((0, 0.031, 0.063))
    assert stack.ijk_to_ras.tolist() == [[-1.5, 0, 0, -1], [0, -1.5, 0, -2], [0, 0, 8, 3], [0, 0, 0, 1]]


@pytest.mark.parametrize(
    ("space", "signs"),
    [("left-posterior-superior", (-1, -1, 1)), ("RAS", (1, 1, 1)), ("left-anterior-superior", (-1, 1, 1))],
)
def test_every_anatomical_space_becomes_ras(tmp_path, space, signs):
    header = f"""
type: uint8
dimension: 3
space: {space}
sizes: 2 2 2
space directions: (1,2,3) (4,-5,6) (7,8,-9)
encoding: raw
space origin: (10,20,30)
"""
    nrrd(tmp_path / "a.nrrd", header, bytes(range(8)))
    expected = np.array([[1, 4, 7, 10], [2, -5, 8, 20], [3, 6, -9, 30]]) * np.array(signs)[:, None]
    assert np.array_equal(read_stack(tmp_path / "a.nrrd").ijk_to_ras[:3], expected)


def test_encodings_byte_order_and_detached_data_are_read(tmp_path):
    values = np.arange(8, dtype=np.int16).reshape(2, 2, 2)
    common = "type: short\ndimension: 3\nsizes: 2 2 2\nspacings: 1 1 5\n"
    nrrd(tmp_path / "text.nrrd", common + "encoding: ascii", b"0 1 2 3\n4 5 6 7\n")
    nrrd(tmp_path / "big.nrrd", common + "endian: big\nencoding: raw", values.astype(">i2").tobytes())
    (tmp_path / "data.raw").write_bytes(b"skipped!" + values.tobytes())
    nrrd(tmp_path / "a.nhdr", common + "endian: little\nbyte skip: -1\nencoding: raw\ndata file: data.raw", b"")
    for name in ("text.nrrd", "big.nrrd", "a.nhdr"):
        stack = read_stack(tmp_path / name)
        assert np.array_equal(stack.array, values), name
        assert stack.spacing == (5, 1, 1)
        assert stack.spacing_known


def test_missing_spacing_is_known_to_be_missing(tmp_path):
    nrrd(tmp_path / "a.nrrd", "type: uint8\ndimension: 3\nsizes: 2 2 2\nencoding: raw", bytes(8))
    header = "ObjectType = Image\nNDims = 3\nDimSize = 2 2 2\nElementType = MET_UCHAR\nElementDataFile = LOCAL\n"
    (tmp_path / "a.mha").write_bytes(header.encode() + bytes(8))
    for name in ("a.nrrd", "a.mha"):
        stack = read_stack(tmp_path / name)
        assert not stack.spacing_known
        assert stack.spacing == (1, 1, 1)


def test_a_header_file_with_its_voxels_beside_it_is_read(tmp_path):
    stack = stack_of()
    image = sitk.GetImageFromArray(stack.array)
    sitk.WriteImage(image, str(tmp_path / "a.mhd"))
    assert np.array_equal(read_stack(tmp_path / "a.mhd").array, stack.array)


def test_the_stem_of_a_file_is_its_name_without_the_image_suffix(tmp_path):
    assert file_stem("/data/patient001.v2_4d.nii.gz") == "patient001.v2_4d"
    assert [file_stem(name) for name in ("a.seg.nrrd", "A.NRRD", "b.mha", "c.dcm")] == ["a", "A", "b", "c"]
    (tmp_path / "series.1").mkdir()
    assert file_stem(tmp_path / "series.1") == "series.1"


def test_length_and_direction_multiply_to_the_column_exactly():
    rng = np.random.default_rng(0)
    for column in rng.normal(size=(200, 3)) * 3:
        length, direction = split_exactly(column)
        assert np.array_equal(direction * length, column)
        assert abs(np.linalg.norm(direction) - 1) < 1e-12


def test_the_axis_of_a_single_slice_is_the_through_plane_axis_whatever_its_spacing(tmp_path):
    matrix = np.diag([1.4, 1.4, 1.0, 1.0])
    write_stack(Stack(np.zeros((1, 6, 7), np.uint8), matrix), tmp_path / "a.nrrd")
    assert read_stack(tmp_path / "a.nrrd").through_plane == 0
    write_stack(Stack(np.zeros(SHAPE, np.uint8), matrix), tmp_path / "b.nrrd")
    assert read_stack(tmp_path / "b.nrrd").through_plane == 1
    assert read_stack(tmp_path / "b.nrrd", through_plane=2).through_plane == 2
