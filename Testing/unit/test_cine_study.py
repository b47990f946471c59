"""A whole cine on the command line: labels of some or all frames in; measures, video, scene and report out."""

from __future__ import annotations

import base64
import json
import re
from dataclasses import replace

import imageio_ffmpeg
import jsonschema
import numpy as np
import phantom
import pytest
from dicom_files import series
from SparseCardiacSegLib.anatomy import ACDC, Structure
from SparseCardiacSegLib.cli import main
from SparseCardiacSegLib.errors import InputError
from SparseCardiacSegLib.findings import videos
from SparseCardiacSegLib.io import read_segmentation, write_segmentation, write_stack
from SparseCardiacSegLib.progress import Cancelled, no_progress
from SparseCardiacSegLib.report import ReportContent, render_report
from SparseCardiacSegLib.segmentation import Segmentation
from SparseCardiacSegLib.stack import Stack
from SparseCardiacSegLib.study import cine_writing
from SparseCardiacSegLib.study.cine_job import CineSettings, CineStudy, analyse_cine, run_cine_study
from SparseCardiacSegLib.study.cine_writing import write_videos

FRAMES = 9
GRID = {"shape": (8, 56, 56), "spacing": (10.0, 2.5, 2.5), "oblique": True}


@pytest.fixture(scope="module")
def beat():
    return phantom.cine(FRAMES, phantom.grid(**GRID))


@pytest.fixture(scope="module")
def files(beat, tmp_path_factory):
    """The cine, its labels of all frames and of ED and ES, and a long-axis view, as files."""
    folder = tmp_path_factory.mktemp("files")
    cine, labels = beat
    write_stack(cine, folder / "heart.nrrd")
    write_segmentation(labels, folder / "all.nii.gz")
    for frame in (0, phantom.es_frame(FRAMES)):
        write_segmentation(labels.frame(frame), folder / f"frame{frame}.nii.gz")
    view = Stack(cine.array[:, 3:4], cine.ijk_to_ras, frame_times=cine.frame_times, source="view")
    write_stack(view, folder / "four_chamber.nrrd")
    return folder


@pytest.fixture(scope="module")
def outcome(files, tmp_path_factory):
    """The folder that `report` fills from ED and ES labels."""
    out = tmp_path_factory.mktemp("study") / "out"
    es = phantom.es_frame(FRAMES)
    labels = [f"0:{files / 'frame0.nii.gz'}", f"{es}:{files / f'frame{es}.nii.gz'}"]
    more = ["--scheme", "acdc", "--height", "175", "--weight", "72", "--sex", "female"]
    more += ["--long-axis", str(files / "four_chamber.nrrd")]
    code = main(["report", str(files / "heart.nrrd"), "--labels", *labels, "--out", str(out), *more])
    assert code == 0
    return out, json.loads((out / "summary.json").read_text(encoding="utf-8"))


def all_labelled(beat) -> CineStudy:
    cine, labels = beat
    return CineStudy("a", cine, labels={frame: labels.frame(frame) for frame in range(FRAMES)})


def test_every_file_that_the_summary_names_is_there_and_no_other(outcome):
    out, summary = outcome
    found = {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}
    assert found == {entry["path"] for entry in summary["files"]}
    wanted = {"cine.mp4", "cine.gif", "long_axis_1.mp4", "study.mrb", "report.html", "clinical.json", "volumes.csv"}
    assert wanted <= found
    assert {"heart_cine_seg.nii.gz", "heart_ED.seg.nrrd", "pictures/volume_curve.png"} <= found


def test_the_summary_follows_its_published_schema(outcome, sample_case):
    schema = json.loads((sample_case.parent / "summary.schema.json").read_text(encoding="utf-8"))
    jsonschema.validate(outcome[1], schema)


def test_labels_that_were_given_stay_and_all_other_frames_get_some(outcome, beat):
    out, summary = outcome
    carried = read_segmentation(out / "heart_cine_seg.nii.gz", ACDC)
    es = phantom.es_frame(FRAMES)
    for frame in (0, es):
        assert np.array_equal(carried.labels.array[frame], beat[1].labels.array[frame])
    assert carried.labels.array.reshape(FRAMES, -1).any(axis=1).all()
    assert summary["cine"]["propagation"]["sources"][0] == [0]
    assert set(summary["cine"]["propagation"]["sources"][2]) == {0, es}
    between = beat[1].mask(Structure.LV)[2], carried.mask(Structure.LV)[2]
    assert 2 * np.logical_and(*between).sum() / sum(one.sum() for one in between) > 0.9


def test_measures_are_those_of_the_given_ed_and_es(outcome, beat):
    _, summary = outcome
    lv, es = summary["clinical"]["lv"], phantom.es_frame(FRAMES)
    assert (summary["cine"]["ed_frame"], summary["cine"]["es_frame"]) == (0, es)
    assert lv["edv_ml"] == pytest.approx(beat[1].frame(0).volume_ml(Structure.LV))
    assert lv["esv_ml"] == pytest.approx(beat[1].frame(es).volume_ml(Structure.LV))
    assert summary["clinical"]["bsa_m2"] == pytest.approx(np.sqrt(175 * 72 / 3600))
    assert summary["cine"]["frame_times_s"] == pytest.approx(beat[0].frame_times)
    assert summary["cine"]["volumes_ml"]["LV"][0] == pytest.approx(lv["edv_ml"])


def test_the_long_axis_view_is_shown_and_told_to_be_left_out(outcome):
    _, summary = outcome
    assert summary["cine"]["long_axis"] == ["four_chamber.nrrd"]
    assert any("four_chamber.nrrd is shown only" in warning for warning in summary["warnings"])


def test_the_report_stands_alone_and_holds_the_videos(outcome):
    out, _ = outcome
    page = (out / "report.html").read_text(encoding="utf-8")
    assert not re.findall(r"(?:src|href)=\"(?!data:|#)", page)
    assert "media-src data:" in page
    assert "<script" not in page
    films = re.findall(r'<video src="data:video/mp4;base64,([^"]+)"[^>]*\bloop\b', page)
    assert [base64.b64decode(film) for film in films] == [
        (out / name).read_bytes() for name in ("cine.mp4", "long_axis_1.mp4")
    ]
    for picture in ("volume_curve.png", "montage_ed.png"):
        assert base64.b64encode((out / "pictures" / picture).read_bytes()).decode() in page
    frames, _ = imageio_ffmpeg.count_frames_and_secs(str(out / "cine.mp4"))
    assert frames % FRAMES == 0


def test_labels_of_every_frame_need_no_propagation(beat):
    found = analyse_cine(all_labelled(beat), CineSettings())
    assert np.array_equal(found.segmentation.labels.array, beat[1].labels.array)
    assert found.sources is None
    assert found.study.model is None
    assert found.study.origin == (("Labels", "given for every frame"),)
    assert (found.ed, found.es) == (0, phantom.es_frame(FRAMES))


def test_without_propagation_frames_without_labels_stay_so(beat):
    cine, labels = beat
    given = {frame: labels.frame(frame) for frame in (0, 4)}
    found = analyse_cine(CineStudy("a", cine, labels=given), CineSettings(propagation=None))
    held = found.segmentation.labels.array.reshape(FRAMES, -1).any(axis=1)
    assert np.flatnonzero(held).tolist() == [0, 4]


def test_ed_and_es_that_are_told_are_kept(beat):
    cine, labels = beat
    given = {frame: labels.frame(frame) for frame in range(FRAMES)}
    found = analyse_cine(CineStudy("a", cine, labels=given, ed=1, es=5), CineSettings())
    assert (found.ed, found.es) == (1, 5)
    assert found.study.clinical["lv"]["edv_ml"] == pytest.approx(labels.frame(1).volume_ml(Structure.LV))


def test_a_video_too_large_for_the_report_is_told_and_left_out(beat, tmp_path, monkeypatch):
    monkeypatch.setattr(videos, "LARGEST_EMBEDDED", 1000)
    shown, files, warnings = write_videos(analyse_cine(all_labelled(beat), CineSettings()), tmp_path, no_progress)
    assert shown == ()
    assert [name for name, _ in files] == ["cine.mp4", "cine.gif"]
    assert any("cine.mp4 has" in warning and "not in the report" in warning for warning in warnings)


def test_a_heart_rate_gives_the_video_its_speed_where_the_file_tells_no_times(beat, tmp_path):
    timeless = replace(beat[0], frame_times=None)
    given = {frame: beat[1].frame(frame) for frame in range(FRAMES)}
    found = analyse_cine(CineStudy("a", timeless, labels=given, heart_rate=100), CineSettings())
    write_videos(found, tmp_path, no_progress)
    meta = next(imageio_ffmpeg.read_frames(str(tmp_path / "cine.mp4")))
    assert meta["fps"] == pytest.approx(FRAMES / 0.6, abs=0.01)


def test_without_imageio_ffmpeg_the_report_holds_the_gif(beat, tmp_path, monkeypatch):
    monkeypatch.setattr(cine_writing, "installed", lambda name: name != "imageio_ffmpeg")
    shown, files, warnings = write_videos(analyse_cine(all_labelled(beat), CineSettings()), tmp_path, no_progress)
    assert [name for name, _ in files] == ["cine.gif"]
    assert any("no cine.mp4" in warning for warning in warnings)
    page = render_report(ReportContent("Cine", "a", "today", videos=shown))
    assert f"data:image/gif;base64,{base64.b64encode((tmp_path / 'cine.gif').read_bytes()).decode()}" in page


def test_a_cancelled_study_writes_nothing(beat, tmp_path):
    def cancel(fraction, _message):
        if fraction > 0.505:
            raise Cancelled

    with pytest.raises(Cancelled):
        run_cine_study(all_labelled(beat), tmp_path / "out", progress=cancel)
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_cine_and_frames_that_do_not_exist_are_refused(beat):
    cine, labels = beat
    with pytest.raises(InputError, match="is no cine"):
        CineStudy("a", cine.frame(0))
    with pytest.raises(InputError, match="frames 0 to 8; 9 was given as ES"):
        CineStudy("a", cine, es=9)
    view = replace(cine, array=cine.array[:, 3:4])
    with pytest.raises(InputError, match=r"single slice \(a long-axis view\?\)"):
        CineStudy("a", view)
    few = {0: labels.frame(0), 4: labels.frame(4)}
    with pytest.raises(InputError, match="frame 2, which is to be ED, has no labels"):
        analyse_cine(CineStudy("a", cine, labels=few, ed=2), CineSettings(propagation=None))
    empty = Segmentation(labels.frame(0).labels.with_array(np.zeros(cine.shape, np.uint8)), ACDC)
    with pytest.raises(InputError, match="no ventricle is labelled"):
        analyse_cine(CineStudy("a", cine, labels={0: empty}), CineSettings(propagation=None))


@pytest.mark.parametrize(
    ("labels", "sentence"),
    [
        (["{0}/frame0.nii.gz"], "for the labels of one frame give FRAME:FILE"),
        (["12:{0}/frame0.nii.gz"], "frames 0 to 8; labels were given for 12"),
        (["0:{0}/all.nii.gz"], "give it without a frame's number"),
        (["0:{0}/frame0.nii.gz", "0:{0}/frame0.nii.gz"], "frame 0 has two label files"),
        (["0:{0}/frame0.nii.gz", "{0}/all.nii.gz"], "each must be FRAME:FILE"),
        (["0:{0}/nothing.nii.gz"], "nothing.nii.gz does not exist"),
        (["0:{0}/small.nii.gz"], "not the same grid"),
        (["0:{0}/elsewhere.nii.gz"], "lies at another place"),
    ],
)
def test_labels_that_cannot_be_used_end_with_one_sentence(files, beat, tmp_path, capsys, labels, sentence):
    one = beat[1].frame(0)
    small = Stack(one.labels.array[:, :40], one.labels.ijk_to_ras)
    write_segmentation(Segmentation(small, ACDC), tmp_path / "small.nii.gz")
    moved = one.labels.ijk_to_ras.copy()
    moved[:3, 3] += 20
    write_segmentation(Segmentation(Stack(one.labels.array, moved), ACDC), tmp_path / "elsewhere.nii.gz")
    for name in ("frame0.nii.gz", "all.nii.gz"):
        (tmp_path / name).symlink_to(files / name)
    given = [text.format(tmp_path) for text in labels]
    for command in (["report", "--out", str(tmp_path / "out")], ["video", "--out", str(tmp_path / "a.gif")]):
        argv = [command[0], str(files / "heart.nrrd"), *command[1:], "--labels", *given, "--scheme", "acdc"]
        assert main(argv) == 2
        error = capsys.readouterr().err
        assert sentence in error
        assert len(error.splitlines()) == 1
    assert not (tmp_path / "out").exists()
    assert not (tmp_path / "a.gif").exists()


def test_a_video_from_the_command_line_has_the_frames_of_the_cine(files, tmp_path, capsys):
    out = tmp_path / "a.mp4"
    argv = ["video", str(files / "heart.nrrd"), "--labels", str(files / "all.nii.gz"), "--scheme", "acdc"]
    assert main([*argv, "--out", str(out), "--cycles", "1", "--width", "640", "--slice", "3"]) == 0
    assert f"{FRAMES} frames of 640 x" in capsys.readouterr().out
    assert imageio_ffmpeg.count_frames_and_secs(str(out))[0] == FRAMES
    meta = next(imageio_ffmpeg.read_frames(str(out)))
    assert meta["size"][0] == 640
    assert meta["fps"] == pytest.approx(FRAMES / 0.9, abs=0.01)


def test_a_left_atrium_from_the_command_line_runs_through_its_slices(tmp_path):
    image, labels = phantom.left_atrium((10, 40, 40), (6.0, 2.0, 2.0))
    write_stack(image, tmp_path / "la.nrrd")
    write_segmentation(labels, tmp_path / "la_seg.nii.gz")
    argv = ["video", str(tmp_path / "la.nrrd"), "--labels", str(tmp_path / "la_seg.nii.gz"), "--scheme", "la"]
    assert main([*argv, "--out", str(tmp_path / "la.mp4"), "--width", "400"]) == 0
    assert imageio_ffmpeg.count_frames_and_secs(str(tmp_path / "la.mp4"))[0] == 10


def test_one_of_several_dicom_series_is_chosen_on_the_command_line(tmp_path, capsys):
    folder = series(tmp_path / "exam", SeriesNumber=7, SeriesDescription="cine SAX")
    series(folder, frames=[0], uid="1.2.4", SeriesNumber=12, SeriesDescription="LGE SAX")
    argv = ["video", str(folder), "--out", str(tmp_path / "a.gif"), "--width", "320"]
    assert main(argv) == 2
    assert "7 'cine SAX' (12 images in 4 places); 12 'LGE SAX' (4 images in 4 places)" in capsys.readouterr().err
    assert main([*argv, "--series", "7"]) == 0
    assert "3 frames of 320 x" in capsys.readouterr().out


@pytest.mark.slow
def test_a_cine_without_labels_is_segmented_by_the_embedded_model(tmp_path, sample_case):
    """Two frames of the bundled real case as a cine; every frame is segmented."""
    from SparseCardiacSegLib.automatic.predictor import PredictionSettings
    from SparseCardiacSegLib.io import read_stack

    phases = [read_stack(sample_case / f"SC-HF-I-01_{name}.nii.gz") for name in ("ED", "ES")]
    cine = replace(phases[0], array=np.stack([one.array for one in phases]))
    settings = CineSettings(prediction=PredictionSettings(mirroring=False))
    summary = run_cine_study(CineStudy("SC-HF-I-01", cine), tmp_path / "out", settings)
    assert summary["model"]["name"] == "sax-acdc-24"
    assert (summary["cine"]["ed_frame"], summary["cine"]["es_frame"]) == (0, 1)
    assert 15 < summary["clinical"]["lv"]["ef_pct"] < 40  # the experts' contours give 25.4 %
