from __future__ import annotations

import subprocess
from dataclasses import replace

import imageio_ffmpeg
import numpy as np
import phantom
import pytest
from PIL import Image
from SparseCardiacSegLib.anatomy import ACDC, DESCRIPTIONS, LEFT_ATRIUM, Structure
from SparseCardiacSegLib.errors import InputError
from SparseCardiacSegLib.figures import video_files
from SparseCardiacSegLib.figures.video import VideoOptions, cine_video
from SparseCardiacSegLib.figures.video_film import film_of_beat, film_of_slices
from SparseCardiacSegLib.progress import Cancelled
from SparseCardiacSegLib.segmentation import Segmentation

FRAMES = 5
SMALL = {"width": 480}


@pytest.fixture(scope="module")
def beat():
    return phantom.cine(FRAMES, phantom.grid((5, 48, 48), (20.0, 3.0, 3.0)))


def decoded(path) -> tuple[dict, np.ndarray]:
    reader = imageio_ffmpeg.read_frames(str(path))
    meta = next(reader)
    columns, rows = meta["size"]
    return meta, np.stack([np.frombuffer(one, np.uint8).reshape(rows, columns, 3) for one in reader])


def gif_frames(path) -> tuple[np.ndarray, list[int], Image.Image]:
    image = Image.open(path)
    frames, lengths = [], []
    for index in range(image.n_frames):
        image.seek(index)
        frames.append(np.asarray(image.convert("RGB")))
        lengths.append(image.info["duration"])
    return np.stack(frames), lengths, image


def near_colour(frame: np.ndarray, structure: Structure, tolerance: int = 40) -> int:
    return int((np.abs(frame.astype(int) - DESCRIPTIONS[structure].colour).max(axis=-1) < tolerance).sum())


def test_an_mp4_decodes_to_the_frames_that_were_written_at_the_hearts_own_rate(beat, tmp_path):
    info = cine_video(*beat, tmp_path / "a.mp4", VideoOptions(cycles=2, **SMALL))
    meta, frames = decoded(tmp_path / "a.mp4")
    assert len(frames) == info.n_frames == 2 * FRAMES
    assert frames.shape[1:3] == info.size
    assert info.size[0] % 2 == info.size[1] % 2 == 0
    assert meta["codec"] == "h264"
    assert meta["pix_fmt"].startswith("yuv420p")
    assert meta["fps"] == pytest.approx(FRAMES / 0.9, abs=0.01)
    # The second beat shows what the first did, and within a beat the picture changes.
    assert np.abs(frames[0].astype(int) - frames[FRAMES]).mean() < 2
    assert np.abs(frames[0].astype(int) - frames[2]).mean() > 2


def test_an_mp4_repeats_the_beat_for_four_seconds_and_a_gif_for_ever(beat, tmp_path):
    info = cine_video(*beat, tmp_path / "a.mp4", VideoOptions(**SMALL))
    assert info.n_frames == 5 * FRAMES  # 0.9 s a beat
    cine_video(*beat, tmp_path / "a.gif", VideoOptions(**SMALL))
    assert gif_frames(tmp_path / "a.gif")[2].info["loop"] == 0


def test_an_mp4_begins_with_its_index_so_that_it_plays_while_it_loads(beat, tmp_path):
    cine_video(*beat, tmp_path / "a.mp4", VideoOptions(cycles=1, **SMALL))
    data = (tmp_path / "a.mp4").read_bytes()
    assert 0 < data.index(b"moov") < data.index(b"mdat")


def test_a_gif_shows_the_contours_in_their_colours_and_keeps_the_length_of_the_beat(beat, tmp_path):
    cine_video(*beat, tmp_path / "a.gif", VideoOptions(**SMALL))
    frames, lengths, _ = gif_frames(tmp_path / "a.gif")
    assert len(frames) == FRAMES
    assert sum(lengths) == 900
    bare = tmp_path / "bare.gif"
    cine_video(beat[0], None, bare, VideoOptions(**SMALL))
    without = gif_frames(bare)[0]
    for structure in (Structure.RV, Structure.MYO, Structure.LV):
        assert near_colour(frames[0], structure) > 100
        assert near_colour(without[0], structure) == 0


def test_uneven_frame_times_are_kept_in_a_gif_and_the_last_frame_lasts_as_long_as_the_mean(beat, tmp_path):
    cine = replace(beat[0], frame_times=(0.0, 0.1, 0.15, 0.35, 0.4))
    cine_video(cine, None, tmp_path / "a.gif", VideoOptions(**SMALL))
    assert gif_frames(tmp_path / "a.gif")[1] == [100, 50, 200, 50, 100]


def test_a_cine_without_frame_times_beats_once_a_second_unless_told_otherwise(beat, tmp_path):
    cine = replace(beat[0], frame_times=None)
    assert cine_video(cine, None, tmp_path / "a.gif", VideoOptions(**SMALL)).fps == pytest.approx(FRAMES)
    assert cine_video(cine, None, tmp_path / "b.gif", VideoOptions(fps=10, **SMALL)).fps == pytest.approx(10)
    fast = cine_video(cine, None, tmp_path / "c.gif", VideoOptions(fps=100, **SMALL))
    assert "2.0 times slower" in fast.warnings[0]


def test_pixels_keep_their_true_aspect(tmp_path):
    """A stack of pixels twice as high as wide: the heart's circle stays a circle."""
    image, labels = phantom.cine(2, phantom.grid((5, 48, 96), (20.0, 3.0, 1.5)))
    cine_video(image, labels, tmp_path / "a.gif", VideoOptions(slice=2, curve=False, width=480))
    frame = gif_frames(tmp_path / "a.gif")[0][0]
    tile = frame[50:-50]
    green = np.abs(tile.astype(int) - DESCRIPTIONS[Structure.MYO].colour).max(axis=-1) < 40
    rows, columns = np.flatnonzero(green.any(axis=1)), np.flatnonzero(green.any(axis=0))
    assert np.ptp(rows) / np.ptp(columns) == pytest.approx(1, abs=0.05)


def test_one_grey_window_holds_for_the_whole_cine(beat):
    cine, labels = beat
    brighter = cine.array.copy()
    brighter[3] *= 3
    film = film_of_beat(replace(cine, array=brighter), labels, VideoOptions())
    assert film.tiles.window[1] > 1.5 * film_of_beat(cine, labels, VideoOptions()).tiles.window[1]


def test_the_crop_holds_the_heart_of_every_frame_and_slices_run_from_base_to_apex():
    grid = phantom.grid((5, 64, 64), (20.0, 3.0, 3.0), base_first=False)
    cine, labels = phantom.cine(4, grid)
    film = film_of_beat(cine, labels, VideoOptions())
    assert film.tiles.slices == (4, 3, 2, 1, 0)
    for number in range(4):
        shown = film.tiles.prepare(labels.labels.array[number])
        assert np.count_nonzero(shown) == np.count_nonzero(labels.labels.array[number])


def test_ed_and_es_are_marked_and_the_curve_gives_their_volumes(beat):
    cine, labels = beat
    film = film_of_beat(cine, labels, VideoOptions())
    es = phantom.es_frame(FRAMES)
    assert [moment.phase for moment in film.moments].count("ED") == 1
    assert film.moments[0].phase == "ED"
    assert film.moments[es].phase == "ES"
    assert film.moments[es].time == f"{1000 * cine.frame_times[es]:.0f} ms"
    assert film.curve.values[es] == pytest.approx(labels.frame(es).volume_ml(Structure.LV))
    chosen = film_of_beat(cine, labels, VideoOptions(ed=1, es=3))
    assert [moment.phase for moment in chosen.moments] == ["", "ED", "", "ES", ""]


def test_frames_that_nobody_labelled_leave_a_gap_in_the_curve_and_are_told(beat):
    cine, labels = beat
    array = labels.labels.array.copy()
    array[[1, 3]] = 0
    film = film_of_beat(cine, Segmentation(cine.with_array(array), ACDC), VideoOptions())
    assert np.isnan(film.curve.values[[1, 3]]).all()
    assert np.isfinite(film.curve.values[[0, 2, 4]]).all()
    assert "3 of 5 frames labelled" in film.note


def test_a_left_atrium_runs_through_its_slices_with_area_and_volume(tmp_path):
    image, labels = phantom.left_atrium((12, 48, 48), (6.0, 2.0, 2.0))
    film = film_of_slices(image, labels, VideoOptions())
    areas = np.count_nonzero(labels.mask(Structure.LA), axis=(1, 2)) * 0.04
    assert film.curve.values == pytest.approx(areas)
    assert f"{labels.volume_ml(Structure.LA):.1f} mL" in film.note
    info = cine_video(image, labels, tmp_path / "la.mp4", VideoOptions(**SMALL))
    _, frames = decoded(tmp_path / "la.mp4")
    assert len(frames) == info.n_frames == 12
    held = [near_colour(frame[50:-210], Structure.LA) for frame in frames]
    assert (np.array(held) > 30).tolist() == (areas > 0).tolist()


def test_a_single_slice_and_an_empty_segmentation_are_drawn_too(beat, tmp_path):
    cine, labels = beat
    info = cine_video(cine, labels, tmp_path / "a.gif", VideoOptions(slice=2, **SMALL))
    assert info.n_frames == FRAMES
    empty = Segmentation(cine.with_array(np.zeros(cine.array.shape, np.uint8)), LEFT_ATRIUM)
    assert cine_video(cine, empty, tmp_path / "b.gif", VideoOptions(**SMALL)).n_frames == FRAMES
    one = cine.frame(0)
    one_slice = replace(one, array=one.array[2:3])
    assert cine_video(one_slice, None, tmp_path / "c.gif", VideoOptions(**SMALL)).n_frames == 1


def test_a_cine_whose_slices_run_along_another_axis_shows_the_same_heart(tmp_path):
    for axis, shape, spacing in ((0, (5, 48, 48), (20.0, 3.0, 3.0)), (2, (48, 48, 5), (3.0, 3.0, 20.0))):
        cine, labels = phantom.cine(3, phantom.grid(shape, spacing, through_plane=axis))
        cine_video(cine, labels, tmp_path / f"{axis}.gif", VideoOptions(**SMALL))
    first, third = (gif_frames(tmp_path / f"{axis}.gif")[0] for axis in (0, 2))
    assert first.shape == third.shape
    assert near_colour(third[0], Structure.LV) == pytest.approx(near_colour(first[0], Structure.LV), rel=0.1)


def test_a_cancelled_video_leaves_nothing_and_keeps_the_old_file(beat, tmp_path):
    (tmp_path / "a.mp4").write_text("old")

    def cancel(fraction, _message):
        if fraction > 0.3:
            raise Cancelled

    for name in ("a.mp4", "b.gif"):
        with pytest.raises(Cancelled):
            cine_video(*beat, tmp_path / name, VideoOptions(**SMALL), cancel)
    assert [path.name for path in tmp_path.iterdir()] == ["a.mp4"]
    assert (tmp_path / "a.mp4").read_text() == "old"


def test_progress_rises_to_one(beat, tmp_path):
    reports = []
    cine_video(*beat, tmp_path / "a.mp4", VideoOptions(**SMALL), lambda *report: reports.append(report[0]))
    assert reports == sorted(reports)
    assert reports[-1] == 1.0
    assert len(reports) > 2 * FRAMES


def test_without_imageio_ffmpeg_an_mp4_is_refused_and_a_gif_still_written(beat, tmp_path, monkeypatch):
    from SparseCardiacSegLib.automatic import packages

    monkeypatch.setattr(packages, "installed", lambda name: name != "imageio_ffmpeg")
    with pytest.raises(InputError, match=r"'imageio_ffmpeg'.*not installed.*sparsecardiacseg\[video\]"):
        cine_video(*beat, tmp_path / "a.mp4", VideoOptions(**SMALL))
    assert cine_video(*beat, tmp_path / "a.gif", VideoOptions(**SMALL)).n_frames == FRAMES


def test_when_ffmpeg_fails_its_message_is_told_and_nothing_is_left(beat, tmp_path, monkeypatch):
    real = subprocess.Popen

    def without_h264(command, **known):
        return real(["libx265x" if one == "libx264" else one for one in command], **known)

    monkeypatch.setattr(video_files.subprocess, "Popen", without_h264)
    with pytest.raises(InputError, match=r"cannot write .*a\.mp4: ffmpeg failed \(.+\)"):
        cine_video(*beat, tmp_path / "a.mp4", VideoOptions(**SMALL))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"fps": 0}, "0.2 to 120 frames a second"),
        ({"fps": float("nan")}, "0.2 to 120 frames a second"),
        ({"cycles": 0}, "1 to 1000 times"),
        ({"width": 100}, "320 to 3840 pixels"),
        ({"slice": -1}, "slice counts from 0"),
        ({"es": -2}, "ES frame counts from 0"),
    ],
)
def test_impossible_options_are_refused(given, sentence):
    with pytest.raises(InputError, match=sentence):
        VideoOptions(**given)


def test_labels_that_do_not_fit_and_slices_and_frames_that_do_not_exist_are_refused(beat, tmp_path):
    cine, labels = beat
    path = tmp_path / "a.gif"
    with pytest.raises(InputError, match=r"ends in \.mp4 or \.gif"):
        cine_video(cine, labels, tmp_path / "a.avi")
    with pytest.raises(InputError, match="slices 0 to 4; 5 was asked for"):
        cine_video(cine, labels, path, VideoOptions(slice=5))
    with pytest.raises(InputError, match="frames 0 to 4; 7 was given as ES"):
        cine_video(cine, labels, path, VideoOptions(es=7))
    with pytest.raises(InputError, match="must have the image's grid and its frames"):
        cine_video(cine, labels.frame(0), path)
    flipped = Segmentation(replace(labels.labels, ijk_to_ras=np.diag([-1.0, -1, 1, 1]) @ cine.ijk_to_ras), ACDC)
    with pytest.raises(InputError, match="another place"):
        cine_video(cine, flipped, path)
    assert list(tmp_path.iterdir()) == []


def test_a_base_that_the_labels_do_not_tell_is_not_claimed(beat):
    cine, labels = beat
    assert film_of_beat(cine, labels, VideoOptions()).note == "5 slices, base to apex"
    tube = np.zeros(cine.array.shape, np.uint8)
    tube[..., 16:32, 16:32], tube[..., 20:28, 20:28] = 2, 3
    film = film_of_beat(cine, Segmentation(cine.with_array(tube), ACDC), VideoOptions())
    assert film.note == "5 slices, base to apex uncertain"
