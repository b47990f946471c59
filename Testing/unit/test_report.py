"""The HTML report: complete, self-contained, valid, and safe against hostile text."""

from __future__ import annotations

import base64
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from SparseCardiacSegLib.anatomy import Structure
from SparseCardiacSegLib.errors import InputError
from SparseCardiacSegLib.figures import dice_curve_figure
from SparseCardiacSegLib.report import (
    ClinicalRow,
    InputFile,
    MetricsRow,
    MetricsTable,
    Picture,
    RegionRow,
    ReportContent,
    VolumeRow,
    render_report,
    write_report,
)

VOID = {"meta", "img", "br", "hr", "link", "input"}
HOSTILE = "<script>alert('x')</script>\"' onerror=\"x\" & </title> \x00\x1b\ud800 Äé"


class Page(HTMLParser):
    """Collects tags and table cells, and fails on tags that are not closed in order."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.rows: list[list[str]] = []
        self.text = ""
        self.feed(page)
        self.close()
        assert self.open == [], "every tag is closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len(dict(attrs)) == len(attrs), f"an attribute stands twice in <{tag}>"
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"</{tag}> closes another tag"

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.text += data
        if {"td", "th"} & set(self.open):
            self.rows[-1][-1] += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture(scope="module")
def png() -> bytes:
    return dice_curve_figure({Structure.LV: np.full(101, 0.9)})


@pytest.fixture(scope="module")
def content(png: bytes) -> ReportContent:
    return ReportContent(
        title="Cardiac MR segmentation",
        case="case 7",
        date="2026-03-01 10:00 UTC",
        inputs=(
            InputFile("ED image", "ed.nii.gz", (10, 232, 256), (10.0, 1.3672, 1.3672), "oblique", "ab" * 32),
            InputFile("ES image", "es.nii.gz", (10, 232, 256), None),
        ),
        warnings=("the base is cut off", "spacing of es.nii.gz is unknown"),
        model_card=(("Trained on", "10 volumes, 5 slices each"),),
        clinical=(
            ClinicalRow("LV ejection fraction", 43.217, "%", "(EDV - ESV) / EDV; ED slices 0 to 9", headline=True),
            ClinicalRow("LA index grade", "mild", "", "ASE/EACVI 2015"),
            ClinicalRow("LV stroke volume", None, "mL", "no ES frame"),
            ClinicalRow("RV volume difference", -3.25, "mL", "ED", digits=2),
        ),
        volumes=(VolumeRow("Left ventricle", "ED", 108.64, 108.31, "1 to 8 of 10"),),
        regions=(RegionRow("ED", "base", (0, 1)), RegionRow("ED", "apex", ())),
        regions_method="20/60/20",
        metrics=(
            MetricsTable(
                "ED",
                (
                    MetricsRow("Left ventricle", "all", 0.9512, 0.907, 5.42, 1.94, 0.331, 108.6, 110.2),
                    MetricsRow(
                        "Left ventricle", "apex", 0.0, 0.0, float("nan"), None, float("nan"), 0.0, 3.1, "missing"
                    ),
                ),
                "20/60/20",
                (("HD95", "larger of the two directed 95th percentiles"),),
            ),
        ),
        pictures=(Picture(png, "Dice curve", "Dice from base to apex", "A nearly flat line at 0.9"),),
        provenance=(("Checkpoint SHA-256", "cd" * 32), ("Command line", "sparsecardiacseg demo --out out")),
        definitions=(("Volume", "area times slice distance"),),
        citations=("Bernard et al. 2018, doi:10.1109/TMI.2018.2837502",),
        licences=("Apache-2.0",),
    )


def test_every_part_is_on_the_page_with_its_units(content: ReportContent):
    page = Page(render_report(content))
    assert ["LV ejection fraction", "43.2", "%", "(EDV - ESV) / EDV; ED slices 0 to 9"] in page.rows
    assert ["LA index grade", "mild", "", "ASE/EACVI 2015"] in page.rows
    assert ["LV stroke volume", "not available", "mL", "no ES frame"] in page.rows
    assert ["RV volume difference", "\u22123.25", "mL", "ED"] in page.rows
    assert ["Structure", "Frame", "Volume (mL)", "Inside the surface (mL)", "Slices"] in page.rows
    assert ["Left ventricle", "ED", "108.6", "108.3", "1 to 8 of 10"] in page.rows
    assert ["ED", "base", "2", "0, 1"] in page.rows
    assert ["ED", "apex", "0", "none"] in page.rows
    for text in (
        *("case 7", "2026-03-01 10:00 UTC", "the base is cut off", "2 warnings", "Regions by 20/60/20"),
        *("10 volumes, 5 slices each", "cd" * 32, "sparsecardiacseg demo --out out", "area times slice distance"),
        *("Bernard et al. 2018", "Apache-2.0", "Not a medical device", "larger of the two directed 95th percentiles"),
    ):
        assert text in page.text, text


def test_metrics_show_missing_structures_instead_of_dropping_them(content: ReportContent):
    page = Page(render_report(content))
    header = next(row for row in page.rows if "Dice" in row)
    assert header[2:9] == ["Dice", "IoU", "HD (mm)", "HD95 (mm)", "MAD (mm)", "Volume (mL)", "Reference (mL)"]
    assert ["Left ventricle", "all", "0.951", "0.907", "5.4", "1.9", "0.33", "108.6", "110.2", ""] in page.rows
    assert ["Left ventricle", "apex", "0.000", "0.000", *("\u2013",) * 3, "0.0", "3.1", "missing"] in page.rows
    assert "2 comparisons, 1 with a structure missing" in page.text


def test_warnings_and_main_results_stand_before_the_first_table(content: ReportContent):
    page = render_report(content)
    table = page.index("<table")
    assert page.index("the base is cut off") < table
    assert page.index('class="headline"') < table
    assert page.index("Not a medical device") < page.index("the base is cut off")


def test_input_files_show_their_geometry_and_an_unknown_spacing(content: ReportContent):
    page = Page(render_report(content))
    assert [
        "ED image",
        "ed.nii.gz",
        "10 \u00d7 232 \u00d7 256",
        "10 \u00d7 1.367 \u00d7 1.367 mm",
        "oblique",
        "ab" * 32,
    ] in page.rows
    assert any(row[0] == "ES image" and row[3] == "unknown" for row in page.rows if len(row) > 3)


def test_the_page_fetches_and_runs_nothing(content: ReportContent):
    source = render_report(content)
    page = Page(source)
    assert {"script", "link", "iframe", "object", "base", "form", "a"}.isdisjoint(tag for tag, _ in page.tags)
    for tag, attributes in page.tags:
        assert not [name for name in attributes if name.startswith("on") or name in ("href", "srcset", "action")], tag
        assert (attributes.get("src") or "data:image/png;base64,").startswith("data:image/png;base64,")
    assert not re.search(r"url\(|@import|https?:", source)
    policy = next(meta["content"] for meta in page.all("meta") if meta.get("http-equiv") == "Content-Security-Policy")
    assert "default-src 'none'" in policy


def test_pictures_are_inside_byte_for_byte_with_their_size_and_alternative_text(content: ReportContent, png: bytes):
    (image,) = Page(render_report(content)).all("img")
    assert base64.b64decode(image["src"].split(",", 1)[1]) == png
    assert (image["width"], image["height"]) == ("1600", "720")
    assert image["alt"] == "A nearly flat line at 0.9"


def test_the_page_is_accessible_by_structure(content: ReportContent):
    page = Page(render_report(content))
    assert all(header.get("scope") in ("row", "col") for header in page.all("th"))
    assert page.all("html") == [{"lang": "en"}]
    assert len(page.all("h1")) == 1
    assert all(image["alt"] for image in page.all("img"))
    assert page.tags[0][0] == "html"
    assert render_report(content).startswith("<!DOCTYPE html>\n")


def test_it_has_styles_for_dark_screens_and_for_a4_paper(content: ReportContent):
    style = re.search(r"<style>(.*?)</style>", render_report(content), re.DOTALL).group(1)
    assert "prefers-color-scheme: dark" in style
    assert "size: A4" in style
    assert style.count("{") == style.count("}")


def test_hostile_text_is_shown_and_not_run_anywhere(content: ReportContent, png: bytes):
    hostile = ReportContent(
        title=HOSTILE,
        case=HOSTILE,
        date=HOSTILE,
        inputs=(InputFile(HOSTILE, HOSTILE, (1, 2, 3), (1.0, 1.0, 1.0), HOSTILE, HOSTILE),),
        warnings=(HOSTILE,),
        model_card=((HOSTILE, HOSTILE),),
        clinical=(ClinicalRow(HOSTILE, HOSTILE, HOSTILE, HOSTILE, headline=True),),
        volumes=(VolumeRow(HOSTILE, HOSTILE, 1.0, None, HOSTILE),),
        regions=(RegionRow(HOSTILE, HOSTILE, (1,)),),
        regions_method=HOSTILE,
        metrics=(
            MetricsTable(
                HOSTILE,
                (replace(content.metrics[0].rows[0], structure=HOSTILE, region=HOSTILE, flag=HOSTILE),),
                HOSTILE,
                ((HOSTILE, HOSTILE),),
            ),
        ),
        pictures=(Picture(png, HOSTILE, HOSTILE, HOSTILE),),
        provenance=((HOSTILE, HOSTILE),),
        definitions=((HOSTILE, HOSTILE),),
        citations=(HOSTILE,),
        licences=(HOSTILE,),
        notice=HOSTILE,
    )
    source = render_report(hostile)
    page = Page(source)
    assert "script" not in {tag for tag, _ in page.tags}
    assert not any(name.startswith("on") for _, attributes in page.tags for name in attributes)
    assert page.text.count("<script>alert('x')</script>") > 20
    assert not re.search("[\x00\x1b\ud800]", source)
    source.encode("utf-8")


def test_parts_without_content_leave_no_heading_behind():
    page = Page(render_report(ReportContent("Report", "case", "today")))
    assert page.all("h2") == []
    assert page.all("table") == []


def test_columns_without_any_content_are_left_out(content: ReportContent):
    plain = tuple(replace(file, orientation="", sha256="") for file in content.inputs)
    page = Page(render_report(replace(content, inputs=plain)))
    assert ["Role", "File", "Voxels", "Spacing"] in page.rows


def test_the_same_content_gives_the_same_page(content: ReportContent):
    assert render_report(content) == render_report(content)


def test_the_file_is_written_whole_as_utf_8(content: ReportContent, tmp_path: Path):
    path = tmp_path / "new" / "report.html"
    write_report(path, replace(content, case="Größe é"))
    assert "Größe é" in path.read_bytes().decode("utf-8")
    assert list(path.parent.iterdir()) == [path]


def test_bytes_that_are_no_picture_are_refused_and_nothing_is_written(content: ReportContent, tmp_path: Path):
    with pytest.raises(ValueError, match="not a PNG"):
        write_report(tmp_path / "report.html", replace(content, pictures=(Picture(b"GIF89a", "x", "y"),)))
    assert list(tmp_path.iterdir()) == []


def test_a_folder_in_the_way_is_a_clear_error(content: ReportContent, tmp_path: Path):
    (tmp_path / "report.html").mkdir()
    with pytest.raises(InputError, match=r"report\.html"):
        write_report(tmp_path / "report.html", content)
