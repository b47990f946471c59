"""The extension's files fit each other: CMake lists, catalogue entries, icons, .ui files, imports."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
from jsonschema import Draft7Validator
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
MODULE = ROOT / "SparseCardiacSeg"
LIBRARY = MODULE / "SparseCardiacSegLib"
UI_FILES = sorted((MODULE / "Resources" / "UI").glob("*.ui"))
PANELS = sorted((LIBRARY / "panels").rglob("*.py"))
SLICER_PACKAGES = {"slicer", "vtk", "numpy", "qt", "ctk"}
CATALOGUE_SCHEMA = {
    "type": "object",
    "required": ["$schema", "category", "scm_url"],
    "additionalProperties": False,
    "properties": {
        "$schema": {
            "const": "https://raw.githubusercontent.com/Slicer/Slicer/main/Schemas/slicer-extension-catalog-entry-schema-v1.0.2.json#"
        },
        "category": {"type": "string"},
        "scm_url": {"type": "string", "pattern": r"^https://.*/Slicer[A-Za-z]+\.git$"},
        "scm_revision": {"type": "string"},
        "scm_type": {"enum": ["git", "local"]},
        "build_dependencies": {"type": "array", "items": {"type": "string"}},
        "dicom_support_rule": {"type": "string"},
        "build_subdirectory": {"type": "string"},
        "enabled": {"type": "boolean"},
        "tier": {"type": "integer", "minimum": 1, "maximum": 5},
    },
}
"""Slicer's schema for catalogue entries, version 1.0.2; the pattern is what the index's own check asks of a name."""


def cmake_list(name: str) -> set[str]:
    text = (MODULE / "CMakeLists.txt").read_text()
    match = re.search(rf"set\({name}\s(.*?)\)", text, re.DOTALL)
    assert match
    return {line.replace("${MODULE_NAME}", "SparseCardiacSeg") for line in match.group(1).split()}


def cmake_variables() -> dict[str, str]:
    return dict(re.findall(r'^set\((EXTENSION_\w+) "([^"]*)"\)', (ROOT / "CMakeLists.txt").read_text(), re.MULTILINE))


def s4ext() -> dict[str, str]:
    lines = (ROOT / "SparseCardiacSeg.s4ext").read_text().splitlines()
    pairs = (line.partition(" ") for line in lines if line.strip() and not line.startswith("#"))
    return {key: value for key, _, value in pairs}


def imports_at_file_scope(path: Path) -> set[str]:
    """Top packages that a file imports when it is imported; relative imports and TYPE_CHECKING do not count."""
    found = set()
    for node in ast.parse(path.read_text(), str(path)).body:
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            found.add((node.module or "").split(".")[0])
    return found


@pytest.mark.parametrize(
    ("variable", "folder", "pattern"),
    [("MODULE_PYTHON_SCRIPTS", "SparseCardiacSegLib", "*.py"), ("MODULE_PYTHON_RESOURCES", "Resources", "*")],
)
def test_cmake_lists_every_file_of_the_tree_and_no_other(variable, folder, pattern):
    there = {path.relative_to(MODULE).as_posix() for path in (MODULE / folder).rglob(pattern) if path.is_file()}
    if variable == "MODULE_PYTHON_SCRIPTS":
        there.add("SparseCardiacSeg.py")
    listed = cmake_list(variable)
    missing, gone = sorted(there - listed), sorted(listed - there)
    assert not missing + gone, f"{variable}: add\n  " + "\n  ".join(missing) + "\nremove\n  " + "\n  ".join(gone)


def test_the_catalogue_entry_follows_slicers_schema():
    entry = json.loads((ROOT / "SparseCardiacSeg.json").read_text())
    assert list(Draft7Validator(CATALOGUE_SCHEMA).iter_errors(entry)) == []
    assert entry["category"] == "Cardiac"
    assert entry["build_dependencies"] == ["PyTorch"]


def test_cmake_s4ext_and_catalogue_entry_say_the_same():
    entry, old, cmake = json.loads((ROOT / "SparseCardiacSeg.json").read_text()), s4ext(), cmake_variables()
    assert old["scm"] == entry["scm_type"]
    assert old["scmurl"] == entry["scm_url"]
    assert old["scmrevision"] == entry["scm_revision"]
    assert old["category"] == entry["category"]
    assert [old["depends"]] == entry["build_dependencies"] == [cmake["EXTENSION_DEPENDS"]]
    for key in ("homepage", "description", "iconurl", "screenshoturls", "contributors"):
        assert old[key] == cmake[f"EXTENSION_{key.upper()}"], key
    assert old["enabled"] == "1"


def test_the_project_bears_the_name_of_the_catalogue_entry():
    assert "project(SparseCardiacSeg)\n" in (ROOT / "CMakeLists.txt").read_text()


@pytest.mark.parametrize("name", ["SparseCardiacSeg.json", "SparseCardiacSeg.s4ext", "CMakeLists.txt", "LICENSE"])
def test_text_files_end_lines_as_the_index_wants(name):
    assert b"\r" not in (ROOT / name).read_bytes()


@pytest.mark.parametrize("path", ["SparseCardiacSeg.png", "SparseCardiacSeg/Resources/Icons/SparseCardiacSeg.png"])
def test_icons_are_128_pixels_square_with_transparency(path):
    with Image.open(ROOT / path) as image:
        assert (image.size, image.mode) == ((128, 128), "RGBA")
        assert image.getpixel((0, 0))[3] == 0


def test_the_licence_is_apache_2_in_full():
    text = (ROOT / "LICENSE").read_text()
    assert "Apache License" in text
    assert "END OF TERMS AND CONDITIONS" in text


def test_the_module_file_is_short_and_imports_only_what_slicer_has():
    path = MODULE / "SparseCardiacSeg.py"
    assert len(path.read_text().splitlines()) < 160
    assert imports_at_file_scope(path) - sys.stdlib_module_names <= SLICER_PACKAGES


@pytest.mark.parametrize("path", sorted(LIBRARY.rglob("__init__.py")), ids=lambda path: path.parent.name)
def test_init_files_import_nothing_heavy(path):
    assert imports_at_file_scope(path) - sys.stdlib_module_names <= {"slicer", "vtk", "numpy"}


@pytest.mark.parametrize("path", PANELS, ids=lambda path: path.name)
def test_panels_import_only_what_slicer_has(path):
    assert imports_at_file_scope(path) - sys.stdlib_module_names <= SLICER_PACKAGES


@pytest.mark.parametrize("path", [p for p in LIBRARY.rglob("*.py") if "panels" not in p.parts], ids=lambda p: p.name)
def test_only_panels_import_qt(path):
    every = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            every |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            every.add((node.module or "").split(".")[0])
    assert not every & {"qt", "ctk", "PySide6"}


def test_ui_parameter_names_exist_in_the_parameter_node():
    tree = ast.parse((LIBRARY / "panels" / "parameters.py").read_text())
    (described,) = [n for n in tree.body if isinstance(n, ast.ClassDef) and n.name.endswith("ParameterNode")]
    known = {node.target.id for node in described.body if isinstance(node, ast.AnnAssign)}
    bound = {
        (path.name, prop.findtext("string"))
        for path in UI_FILES
        for prop in ElementTree.parse(path).iter("property")
        if prop.get("name") == "SlicerParameterName"
    }
    assert ("StudyPanel.ui", "inputVolume") in bound
    assert [pair for pair in sorted(bound) if pair[1] not in known] == []


def test_the_panels_code_loads_without_the_packages_that_slicer_lacks():
    """Nothing that opening the module needs may import a package that Slicer does not bring."""
    code = """
import sys
lacking = {"nibabel", "tqdm", "skimage", "matplotlib", "torch", "nnunetv2", "pandas", "onnxruntime", "psutil", "PIL"}
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in lacking:
            raise ModuleNotFoundError(name, name=name)
sys.meta_path.insert(0, Refuse())
import SparseCardiacSegLib.segmenter, SparseCardiacSegLib.worker.client, SparseCardiacSegLib.mrml.display
import SparseCardiacSegLib.mrml.segment_gate, SparseCardiacSegLib.automatic.catalogue
import SparseCardiacSegLib.automatic.predictor, SparseCardiacSegLib.automatic.postprocess
SparseCardiacSegLib.automatic.catalogue.list_models()
"""
    finished = subprocess.run([sys.executable, "-c", code], cwd=MODULE, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr
