from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk  # noqa: N813
from dicom_files import COLUMNS, DIRECTION, DISTANCE, LPS, ORIGIN, ROWS, image, pixels, save, series
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import EnhancedMRImageStorage, ExplicitVRLittleEndian, MRImageStorage, generate_uid
from SparseCardiacSegLib.errors import InputError
from SparseCardiacSegLib.io import read_stack, write_stack


def expected_matrix() -> np.ndarray:
    matrix = np.eye(4)
    matrix[:3, 0] = DIRECTION[:, 0] * 1.3671875
    matrix[:3, 1] = DIRECTION[:, 1] * 1.41
    matrix[:3, 2] = np.cross(DIRECTION[:, 0], DIRECTION[:, 1]) * DISTANCE
    matrix[:3, 3] = ORIGIN
    return LPS @ matrix


def test_a_cine_series_becomes_frames_of_slices_sorted_by_place_and_time(tmp_path):
    stack = read_stack(series(tmp_path / "sax"))
    assert stack.array.shape == (3, 4, ROWS, COLUMNS)
    assert stack.array.dtype == np.int16
    for frame in range(3):
        for k in range(4):
            assert np.array_equal(stack.array[frame, k], pixels(k, frame))
    assert stack.frame_times == pytest.approx((0, 0.031, 0.062))
    assert np.allclose(stack.ijk_to_ras, expected_matrix(), atol=1e-6)


def test_the_slice_distance_is_that_of_the_positions_gap_included(tmp_path):
    stack = read_stack(series(tmp_path / "sax", SpacingBetweenSlices=6))
    assert stack.spacing == pytest.approx((DISTANCE, 1.41, 1.3671875), rel=1e-6)
    assert stack.spacing_known


def test_a_series_of_one_phase_is_a_stack_and_itk_puts_it_at_the_same_place(tmp_path):
    folder = series(tmp_path / "sax", frames=[0])
    stack = read_stack(folder)
    assert stack.array.shape == (4, ROWS, COLUMNS)
    assert stack.frame_times is None
    itk = sitk.ReadImage(sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder)))
    for index in ((0, 0, 0), (6, 5, 3)):
        lps = np.array(itk.TransformIndexToPhysicalPoint(index))
        assert np.allclose((stack.ijk_to_ras @ [*index, 1])[:3], lps * [-1, -1, 1], atol=1e-4)
    assert np.array_equal(sitk.GetArrayFromImage(itk), stack.array)


def test_one_slice_over_time_is_a_cine_of_one_slice(tmp_path):
    stack = read_stack(series(tmp_path / "sax", slices=[2], SpacingBetweenSlices=9.5))
    assert stack.array.shape == (3, 1, ROWS, COLUMNS)
    assert stack.through_plane == 0
    assert stack.spacing[0] == pytest.approx(9.5)


def test_without_trigger_times_phases_follow_the_instance_numbers(tmp_path):
    stack = read_stack(series(tmp_path / "sax", TriggerTime=None))
    assert stack.frame_times is None
    assert [int(frame[0, 0, 0]) for frame in stack.array] == [0, 1000, 2000]


def test_a_file_of_a_series_stands_for_its_series(tmp_path):
    series(tmp_path / "two", uid="1.2.3")
    series(tmp_path / "two", uid="1.2.4", slices=range(2), frames=[0])
    one = next((tmp_path / "two").glob("*-1.2.4.dcm"))
    assert read_stack(one).array.shape == (2, ROWS, COLUMNS)


def test_several_series_are_listed_and_refused(tmp_path):
    series(tmp_path / "two", uid="1.2.3")
    series(tmp_path / "two", uid="1.2.4", frames=[0])
    listed = r"2 series: 'cine 1.2.3' \(12 images in 4 places\); 'cine 1.2.4' \(4 images in 4 places\)"
    with pytest.raises(InputError, match=listed):
        read_stack(tmp_path / "two")


def test_a_series_for_each_slice_is_joined_and_said(tmp_path):
    for k in range(4):
        series(tmp_path / "sax", slices=[k], uid=f"1.2.{k + 3}")
    stack = read_stack(tmp_path / "sax")
    assert stack.array.shape == (3, 4, ROWS, COLUMNS)
    assert "4 series of one slice each were joined" in stack.meta["warnings"][0]
    series(tmp_path / "sax", slices=[1], uid="1.2.99")
    with pytest.raises(InputError, match="5 series"):
        read_stack(tmp_path / "sax")


def test_a_missing_slice_a_missing_phase_and_uneven_slices_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"slices 2 and 3 lie 19\.00 mm apart, the others 9\.50 mm; 1 missing"):
        read_stack(series(tmp_path / "gap", slices=(0, 1, 3, 4)))
    folder = series(tmp_path / "phase")
    next(folder.glob("*-2-1-*.dcm")).unlink()
    with pytest.raises(InputError, match="slice 3 of 4 has 2 phases, the others 3"):
        read_stack(folder)
    with pytest.raises(InputError, match="no even stack"):
        read_stack(series(tmp_path / "uneven", slices=(0, 1, 2.3, 3.3)))


def test_slightly_uneven_slices_are_taken_with_a_warning(tmp_path):
    stack = read_stack(series(tmp_path / "sax", slices=(0, 1, 2.04, 3.04), frames=[0]))
    assert "taken as even" in stack.meta["warnings"][0]


def test_slices_that_are_not_parallel_or_not_of_one_size_are_refused(tmp_path):
    folder = series(tmp_path / "radial", frames=[0])
    save(folder / "x.dcm", image(9, 0, ImageOrientationPatient=[1, 0, 0, 0, 0, 1]), MRImageStorage)
    with pytest.raises(InputError, match="not parallel"):
        read_stack(folder)
    folder = series(tmp_path / "sizes", frames=[0])
    save(folder / "x.dcm", image(4, 0, PixelSpacing=[2, 2]), MRImageStorage)
    with pytest.raises(InputError, match="different sizes or pixel spacings"):
        read_stack(folder)


def test_an_image_that_does_not_tell_its_place_is_refused(tmp_path):
    with pytest.raises(InputError, match="does not tell where its slice lies"):
        read_stack(series(tmp_path / "a", ImagePositionPatient=None))


def test_missing_pixel_spacing_is_known_to_be_missing(tmp_path):
    stack = read_stack(series(tmp_path / "a", PixelSpacing=None))
    assert not stack.spacing_known


def test_rescaling_is_applied(tmp_path):
    stack = read_stack(series(tmp_path / "a", frames=[0], RescaleSlope=2, RescaleIntercept=-5))
    assert stack.array.dtype == np.float32
    assert np.array_equal(stack.array[1], pixels(1, 0) * 2.0 - 5)


def test_other_files_in_the_folder_are_passed_over_and_subfolders_are_found(tmp_path):
    folder = series(tmp_path / "study" / "series", frames=[0])
    (folder / "notes.txt").write_text("hello")
    (folder / ".DS_Store").write_bytes(b"\0")
    report = Dataset()
    report.SeriesInstanceUID = "9.9"
    save_without_pixels(folder / "report.dcm", report)
    assert read_stack(folder).array.shape == (4, ROWS, COLUMNS)
    assert read_stack(tmp_path / "study").array.shape == (4, ROWS, COLUMNS)


def save_without_pixels(path: Path, dataset: Dataset) -> None:
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.88.11"
    meta.MediaStorageSOPInstanceUID = generate_uid()
    file = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    file.update(dataset)
    file.SOPClassUID, file.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    file.save_as(path, enforce_file_format=True)


def test_a_folder_without_dicom_is_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(InputError, match="holds no DICOM images"):
        read_stack(tmp_path)


@pytest.mark.parametrize("share", [0.5, 0.98])
def test_a_truncated_dicom_file_is_refused_with_a_clear_sentence(tmp_path, share):
    folder = series(tmp_path / "a")
    file = sorted(folder.iterdir())[3]
    file.write_bytes(file.read_bytes()[: int(file.stat().st_size * share)])
    with pytest.raises(InputError, match=r"damaged|does not tell|incomplete"):
        read_stack(folder)


def test_a_compressed_series_reads_as_the_uncompressed_one(tmp_path):
    folder = series(tmp_path / "plain", frames=[0])
    plain = read_stack(folder)
    for file in folder.iterdir():
        dataset = pydicom.dcmread(file)
        dataset.compress(pydicom.uid.RLELossless)
        (tmp_path / "packed").mkdir(exist_ok=True)
        dataset.save_as(tmp_path / "packed" / file.name)
    packed = read_stack(tmp_path / "packed")
    assert np.array_equal(packed.array, plain.array)
    assert np.array_equal(packed.ijk_to_ras, plain.ijk_to_ras)


def test_an_enhanced_multi_frame_file_is_a_cine_too(tmp_path):
    dataset = Dataset()
    dataset.SeriesInstanceUID = "1.2.3"
    shared = Dataset()
    measures = Dataset()
    measures.PixelSpacing = [1.41, 1.3671875]
    shared.PixelMeasuresSequence = [measures]
    dataset.SharedFunctionalGroupsSequence = [shared]
    dataset.PerFrameFunctionalGroupsSequence = []
    planes = []
    for frame in (2, 0, 1):
        for k in (3, 1, 0, 2):
            plain = image(k, frame)
            place, orientation, time, group = Dataset(), Dataset(), Dataset(), Dataset()
            place.ImagePositionPatient = plain.ImagePositionPatient
            orientation.ImageOrientationPatient = plain.ImageOrientationPatient
            time.NominalCardiacTriggerDelayTime = 31.0 * frame
            group.PlanePositionSequence = [place]
            group.PlaneOrientationSequence = [orientation]
            group.CardiacSynchronizationSequence = [time]
            dataset.PerFrameFunctionalGroupsSequence.append(group)
            planes.append(pixels(k, frame))
    dataset.NumberOfFrames = len(planes)
    dataset.PixelData = np.stack(planes).tobytes()
    save(tmp_path / "a" / "enhanced.dcm", dataset, EnhancedMRImageStorage)
    stack = read_stack(tmp_path / "a")
    assert stack.array.shape == (3, 4, ROWS, COLUMNS)
    assert np.array_equal(stack.array[1, 2], pixels(2, 1))
    assert stack.frame_times == pytest.approx((0, 0.031, 0.062))
    assert np.allclose(stack.ijk_to_ras, expected_matrix(), atol=1e-6)


def test_a_dicom_series_written_as_nrrd_and_mha_keeps_its_matrix_bit_by_bit(tmp_path):
    stack = read_stack(series(tmp_path / "a"))
    for suffix in (".nrrd", ".mha"):
        write_stack(stack, tmp_path / f"b{suffix}")
        assert np.array_equal(read_stack(tmp_path / f"b{suffix}").ijk_to_ras, stack.ijk_to_ras)


@pytest.mark.shared
def test_a_real_short_axis_cine_lies_on_the_grid_of_its_labels(shared_data, tmp_path):
    with zipfile.ZipFile(shared_data / "sunnybrook_ep_pig" / "dicom_sax.zip") as archive:
        archive.extractall(tmp_path)
    stack = read_stack(next(path for path in tmp_path.iterdir() if path.is_dir()))
    labels = read_stack(shared_data / "sunnybrook_ep_pig" / "pig_sax_4d_autoseg.nii.gz")
    assert stack.array.shape == labels.array.shape == (20, 20, 256, 256)
    assert stack.same_grid(labels, tolerance_mm=0.003)
    assert stack.frame_times[:3] == pytest.approx((0, 0.031, 0.063), abs=1e-6)
    assert stack.frame_times[-1] == pytest.approx(0.6, abs=1e-6)
    # k = 0 is the most apical slice, acquired last: instances 381 to 400
    apical = sitk.GetArrayFromImage(sitk.ReadImage(str(next(tmp_path.rglob("I0386.dcm")))))
    assert np.array_equal(stack.array[5, 0], apical[0])
