"""The documents are true to the tree: links and pictures exist, commands and quoted messages are the program's own."""

from __future__ import annotations

import ast
import re
import xml.etree.ElementTree as ElementTree
from functools import lru_cache
from pathlib import Path

import pytest
import yaml
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
LIBRARY = ROOT / "SparseCardiacSeg" / "SparseCardiacSegLib"
UI_FOLDER = ROOT / "SparseCardiacSeg" / "Resources" / "UI"
DOCUMENTS = sorted(
    [ROOT / "README.md", *(ROOT / "Docs").glob("*.md"), *(ROOT / "Resources" / "ModelCards").glob("*.md")]
)
TUTORIAL, TROUBLESHOOTING = ROOT / "Docs" / "tutorial.md", ROOT / "Docs" / "troubleshooting.md"
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
NOT_OURS = {"WinError 206", "CUDA out of memory", "LabelMap", "nothing was found"}


def links(document: Path) -> list[str]:
    return LINK.findall(document.read_text(encoding="utf-8"))


def anchors(document: Path) -> set[str]:
    """Headings as GitHub links them."""
    headings = re.findall(r"^#+ (.+)$", document.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_and_pictures_of_a_document_exist(document):
    broken = []
    for link in links(document):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (document.parent / path).resolve() if path else document
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    assert broken == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_pictures_can_be_opened_and_are_small_enough_for_a_repository(document):
    for link in links(document):
        path = (document.parent / link).resolve()
        if path.suffix == ".png":
            with Image.open(path) as picture:
                picture.verify()
            assert path.stat().st_size < 1_000_000, link


def test_the_tutorial_has_ten_steps_each_of_which_says_what_to_press_or_choose():
    parts = re.split(r"^## (\d+)\. ", TUTORIAL.read_text(encoding="utf-8"), flags=re.MULTILINE)
    steps = dict(zip(map(int, parts[1::2]), parts[2::2], strict=True))
    assert list(steps) == list(range(1, 11))
    for number, text in steps.items():
        assert re.search(r"\bpress|\bchoose|\btick|\*File / |\bOpen\b", text), number
    assert sum(".png" in text for text in steps.values()) >= 8


@lru_cache(maxsize=1)
def button_texts() -> frozenset[str]:
    """Texts of the widgets, in the .ui files and in the panels' code, and names of sections and Slicer's own."""
    found = set()
    for path in UI_FOLDER.glob("*.ui"):
        found |= {element.text or "" for element in ElementTree.parse(path).iter("string")}
    return frozenset({*found, *program_texts()})


@lru_cache(maxsize=1)
def program_texts() -> tuple[str, ...]:
    """Every text in the library's code, what is put into it cut out."""
    found = []
    for path in [*LIBRARY.rglob("*.py"), ROOT / "SparseCardiacSeg" / "SparseCardiacSeg.py"]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                text = "".join(part.value if isinstance(part, ast.Constant) else "\0" for part in node.values)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                text = re.sub(r"{[^}]*}", "\0", node.value)
            else:
                continue
            found.append(text)
    return tuple(found)


def test_what_the_tutorial_tells_to_press_is_a_text_of_the_module():
    told = set(re.findall(r"\*\*([^*]+)\*\*", TUTORIAL.read_text(encoding="utf-8")))
    plain = {text.rstrip(".…") for text in button_texts()}
    samples = {"ShortAxisED", "ShortAxisES", "Sample Data", "Not for clinical use."}
    assert {text for text in told - samples if text.rstrip(".…") not in plain} == set()


def quoted_messages() -> list[str]:
    """Fragments of messages in the first column of the tables; "..." stands for what differs."""
    fragments = []
    for line in TROUBLESHOOTING.read_text(encoding="utf-8").splitlines():
        if line.startswith("| ") and not line.startswith(("| what you see", "|---")):
            for quote in re.findall(r"(?<!\*)\*([^*]+)\*(?!\*)", line.split(" | ")[0]):
                fragments += [part.strip(" ,.;:'") for part in quote.split("...")]
    return [part for part in fragments if len(part) > 4]


def test_every_message_in_the_troubleshooting_is_one_that_the_program_says():
    texts = {*program_texts(), *button_texts()}
    unknown = [part for part in quoted_messages() if part not in NOT_OURS and not any(part in text for text in texts)]
    assert unknown == []
    assert len(quoted_messages()) > 60


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_workflows_are_whole_and_their_actions_are_pinned(path):
    workflow = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert workflow["permissions"] == {"contents": "read"}
    for job in workflow["jobs"].values():
        assert job["timeout-minutes"] <= 90
        for step in job["steps"]:
            assert re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", step["uses"]) if "uses" in step else step["run"]


def test_the_workflows_run_what_the_documents_tell_people_to_run():
    texts = {path.name: path.read_text(encoding="utf-8") for path in WORKFLOWS}
    assert "python dev.py test" in texts["tests.yml"]
    assert "python3 dev.py test" in (ROOT / "README.md").read_text(encoding="utf-8")
    for file in ("Testing/slicer/run_self_test.py", "SparseCardiacSegApplicationTest"):
        assert file in texts["slicer.yml"]
        assert file in (ROOT / "Docs" / "developer.md").read_text(encoding="utf-8")


def test_the_list_of_the_self_tests_files_is_complete():
    listed = set(re.findall(r"^\| `(\w+\.py)` \|", (ROOT / "Docs" / "developer.md").read_text("utf-8"), re.MULTILINE))
    holding = {
        path.name for path in (LIBRARY / "panels" / "self_test").glob("*.py") if "\nSTEPS = " in path.read_text()
    }
    assert listed == holding
