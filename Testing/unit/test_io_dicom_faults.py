"""Folders as they come from scanners, archives and memory sticks: copies, localisers, gaps, foreign files."""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path

import numpy as np
import pydicom
import pytest
from dicom_files import COLUMNS, ROWS, image, pixels, save, series
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import HTJ2KLossless, JPEG2000Lossless, JPEGLosslessSV1, MRImageStorage
from SparseCardiacSegLib.errors import InputError
from SparseCardiacSegLib.io import read_stack

N_SLICES, N_FRAMES = 4, 3


def localiser(folder: Path, **changes: object) -> Path:
    """Three planes at right angles, as every examination begins with."""
    planes = ([1, 0, 0, 0, 1, 0], [0, 1, 0, 0, 0, -1], [1, 0, 0, 0, 0, -1])
    for number, plane in enumerate(planes):
        save(
            folder / f"plan{number}.dcm",
            image(0, 0, "1.2.9", ImageOrientationPatient=plane, TriggerTime=None, **changes),
            MRImageStorage,
        )
    return folder


def assert_is_the_cine(stack) -> None:
    assert stack.array.shape == (N_FRAMES, N_SLICES, ROWS, COLUMNS)
    for frame in range(N_FRAMES):
        for k in range(N_SLICES):
            assert np.array_equal(stack.array[frame, k], pixels(k, frame))


def test_copies_of_images_are_left_out_and_told(tmp_path):
    folder = series(tmp_path / "sax")
    for file in sorted(folder.iterdir())[:5]:
        shutil.copy(file, folder / f"copy of {file.name}")
    stack = read_stack(folder)
    assert_is_the_cine(stack)
    assert "5 image(s) are there twice" in stack.meta["warnings"][0]


def test_two_images_of_one_place_and_time_that_are_no_copies_are_refused(tmp_path):
    folder = series(tmp_path / "sax")
    save(folder / "again.dcm", image(2, 1), MRImageStorage)
    with pytest.raises(InputError, match="slice 3 of 4 has 4 phases, the others 3"):
        read_stack(folder)


@pytest.mark.parametrize(
    "changes",
    [{"SeriesDescription": "planes"}, {"SeriesDescription": "LOC_3PL"}, {"ImageType": ["ORIGINAL", "LOCALIZER"]}],
)
def test_a_localiser_beside_the_cine_is_left_out_and_told(tmp_path, changes):
    stack = read_stack(localiser(series(tmp_path / "exam"), **changes))
    assert_is_the_cine(stack)
    assert "left out as localiser" in stack.meta["warnings"][0]


def test_a_localiser_alone_is_no_stack(tmp_path):
    with pytest.raises(InputError, match=r"not parallel \(a localiser"):
        read_stack(localiser(tmp_path / "plan"))


def test_a_series_that_is_no_localiser_is_never_left_out_silently(tmp_path):
    folder = series(tmp_path / "exam")
    series(folder, slices=range(4), frames=[0], uid="1.2.4", SeriesDescription="LGE ventricular locus")
    with pytest.raises(InputError, match=r"holds 2 series: .*12 images.*4 images.*choose one"):
        read_stack(folder)


def test_one_of_several_series_is_chosen_by_number_uid_or_name(tmp_path):
    folder = series(tmp_path / "exam", SeriesNumber=7, SeriesDescription="cine SAX")
    series(folder, frames=[0], uid="1.2.4", SeriesNumber=12, SeriesDescription="LGE SAX")
    for wanted in ("7", "1.2.3", "cine sax", "cine"):
        assert_is_the_cine(read_stack(folder, series=wanted))
    assert read_stack(folder, series="12").array.shape == (N_SLICES, ROWS, COLUMNS)
    with pytest.raises(InputError, match=r"has no series called 'perfusion'; there are 7 'cine SAX'.*12 'LGE SAX'"):
        read_stack(folder, series="perfusion")
    with pytest.raises(InputError, match="has 2 series called 'sax'"):
        read_stack(folder, series="sax")


def test_a_series_cannot_be_chosen_where_there_is_none_to_choose(tmp_path):
    path = tmp_path / "a.nii.gz"
    path.write_bytes(b"x")
    with pytest.raises(InputError, match="is no DICOM folder"):
        read_stack(path, series="7")


def test_a_missing_phase_is_told_with_its_time(tmp_path):
    folder = series(tmp_path / "sax")
    next(folder.glob("*-2-1-*.dcm")).unlink()
    with pytest.raises(InputError, match="slice 3 of 4 has 2 phases, the others 3; missing at 43 ms"):
        read_stack(folder)
    folder = series(tmp_path / "untimed", TriggerTime=None)
    next(folder.glob("*-2-1-*.dcm")).unlink()
    with pytest.raises(InputError) as error:
        read_stack(folder)
    assert str(error.value).endswith("slice 3 of 4 has 2 phases, the others 3")


def test_two_missing_slices_are_counted(tmp_path):
    with pytest.raises(InputError, match=r"slices 3 and 4 lie 28\.50 mm apart.*2 missing"):
        read_stack(series(tmp_path / "gap", slices=(0, 1, 2, 5, 6)))


def test_an_image_of_another_matrix_in_the_series_is_refused(tmp_path):
    folder = series(tmp_path / "sax", frames=[0])
    odd = image(4, 0)
    odd.PixelData = np.zeros((ROWS, COLUMNS + 1), np.int16).tobytes()
    save(folder / "odd.dcm", odd, MRImageStorage)
    written = pydicom.dcmread(folder / "odd.dcm")
    written.Columns = COLUMNS + 1
    written.save_as(folder / "odd.dcm")
    with pytest.raises(InputError, match="different sizes"):
        read_stack(folder)


def test_files_in_no_order_with_names_in_no_order_give_the_same_stack(tmp_path):
    folder = series(tmp_path / "sax")
    for number, file in enumerate(sorted(folder.iterdir(), key=lambda one: hash(one.name))):
        file.rename(folder / f"IM{number:03d}")
    assert_is_the_cine(read_stack(folder))


def test_trigger_times_that_are_the_same_in_all_phases_leave_the_instance_numbers(tmp_path):
    stack = read_stack(series(tmp_path / "sax", TriggerTime=0))
    assert_is_the_cine(stack)
    assert stack.frame_times is None


def test_trigger_times_that_differ_between_slices_are_averaged_in_seconds(tmp_path):
    folder = tmp_path / "sax"
    for k in range(N_SLICES):
        for frame in range(N_FRAMES):
            time = 10 * k + (30 + k) * frame
            save(folder / f"{k}{frame}.dcm", image(k, frame, TriggerTime=time), MRImageStorage)
    assert read_stack(folder).frame_times == pytest.approx((0, 0.0315, 0.063))


def test_a_zip_is_named_as_such(tmp_path):
    folder = series(tmp_path / "sax", frames=[0])
    with zipfile.ZipFile(tmp_path / "sax.zip", "w") as archive:
        for file in folder.iterdir():
            archive.write(file, file.name)
    with pytest.raises(InputError, match=r"sax\.zip is a zip archive; unpack it and give the folder"):
        read_stack(tmp_path / "sax.zip")


@pytest.mark.parametrize("syntax", [JPEGLosslessSV1, JPEG2000Lossless, HTJ2KLossless])
def test_compressed_pixels_that_cannot_be_decoded_are_told_with_the_compression(tmp_path, syntax):
    folder = series(tmp_path / "sax", frames=[0])
    for file in folder.iterdir():
        dataset = pydicom.dcmread(file)
        dataset.PixelData = encapsulate([b"\xff\xd8\xff\xc3no picture" * 9])
        dataset["PixelData"].is_undefined_length = True
        dataset.file_meta.TransferSyntaxUID = syntax
        dataset.save_as(file)
    with pytest.raises(InputError, match=r"no decoder for its compression \((JPEG|High).*gdcmconv --raw"):
        read_stack(folder)


def test_foreign_files_beside_the_series_change_nothing(tmp_path):
    folder = series(tmp_path / "sax")
    (folder / "DICOMDIR").write_bytes(b"\0" * 200)
    (folder / "report.pdf").write_bytes(b"%PDF-1.4")
    (folder / "thumbs.db").write_bytes(b"")
    note = Dataset()
    note.SeriesInstanceUID = "1.2.77"
    assert_is_the_cine(read_stack(folder))


@pytest.mark.shared
def test_the_pig_lies_on_its_labels_and_a_file_of_it_stands_for_one_slice_over_time(shared_data):
    stack = read_stack(shared_data / "sunnybrook_ep_pig" / "dicom_one_slice_sax")
    assert stack.array.shape == (20, 1, 256, 256)
    assert stack.spacing == pytest.approx((5.0, 0.8203, 0.8203), abs=1e-4)
    assert stack.frame_times[-1] == pytest.approx(0.6, abs=0.01)
