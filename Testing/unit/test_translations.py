"""Everything that a user reads in Slicer can be translated: a static check of the panels' code and their .ui files."""

from __future__ import annotations

import ast
import re
import string
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

MODULE = Path(__file__).resolve().parents[2] / "SparseCardiacSeg"
PANELS = MODULE / "SparseCardiacSegLib" / "panels"
FOR_DEVELOPERS = re.compile(r"self_test")
"""What the self test says while it runs is for whoever runs it."""

FILES = [MODULE / "SparseCardiacSeg.py", *sorted(PANELS.rglob("*.py"))]
FILES = [file for file in FILES if not FOR_DEVELOPERS.search(str(file.relative_to(MODULE)))]
UI_FILES = sorted((MODULE / "Resources" / "UI").glob("*.ui"))

SHOWING = {"say", "fail", "addItem", "setText", "setToolTip", "setWindowTitle", "setPlainText", "setLabelText"}
SHOWING |= {"infoDisplay", "warningDisplay", "errorDisplay", "confirmOkCancelDisplay", "confirmYesNoDisplay"}
SHOWING |= {"setTitle", "showStatusMessage", "InputError", "InstallError"}
SHOWN = {"text", "toolTip", "title", "placeholderText", "suffix", "prefix", "windowTitle", "statusTip"}
SHOWN |= {"specialValueText"}
SENTENCE = re.compile(r"[A-Z][a-z]+ ([a-z]+ )*[a-z]+")
"""Words as in a sentence: what is not code."""

MACHINE_NAMES = {"SlicerParameterName", "nodeTypes", "settingKey", "objectName"}


def calls(tree, *names):
    """Calls of functions of these names."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            if name in names:
                yield node


def tree_of(file):
    return ast.parse(file.read_text("utf-8"))


def where(file, node):
    return f"{file.name}:{node.lineno}"


def is_words(node):
    """Whether an expression is a text for people, written in place."""
    if isinstance(node, ast.JoinedStr):
        return any(is_words(part) for part in node.values if isinstance(part, ast.Constant))
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Mod):
        return is_words(node.left) or is_words(node.right)
    return isinstance(node, ast.Constant) and isinstance(node.value, str) and bool(re.search("[A-Za-z]{2}", node.value))


def docstrings(tree):
    """Expressions that are nothing but a text: docstrings, and the notes below constants."""
    return {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}


def fields_of(text):
    """The placeholders of a text."""
    return {field for _text, field, _spec, _conversion in string.Formatter().parse(text) if field is not None}


def is_translated_literal(node):
    """Whether an expression is `_("...")`."""
    return isinstance(node, ast.Call) and getattr(node.func, "id", "") == "_" and isinstance(node.args[0], ast.Constant)


def problems_of(tree, file):
    """What cannot be translated in a file."""
    translated = set()
    for call in calls(tree, "_", "translate"):
        translated |= {id(node) for node in ast.walk(call)}
        text = call.args[-1]
        if not isinstance(text, ast.Constant) or len(call.args) != (1 if call.func.id == "_" else 2):
            yield f"{where(file, call)}: not one literal text, so that no translator ever sees it"
        elif any(not field.isidentifier() for field in fields_of(text.value)) or re.search(r"%[sd(]", text.value):
            yield f"{where(file, call)}: a placeholder without a name, which other languages cannot put elsewhere"
    for call in calls(tree, "format"):
        inner = getattr(call.func, "value", None)
        if is_translated_literal(inner):
            fields, given = fields_of(inner.args[0].value), {keyword.arg for keyword in call.keywords}
            if fields != given or call.args:
                yield f"{where(file, call)}: placeholders {sorted(fields)} are given {sorted(map(str, given))}"
    for call in calls(tree, *SHOWING):
        if any(is_words(argument) for argument in call.args):
            yield f"{where(file, call)}: shown without _()"
    for node in ast.walk(tree):
        shown = isinstance(node, ast.Assign) and any(getattr(target, "attr", "") in SHOWN for target in node.targets)
        if shown and is_words(node.value):
            yield f"{where(file, node)}: shown without _()"
    # The meanings of coded entries are DICOM's own words.
    coded = {id(node) for call in calls(tree, "createCodedEntry", "units") for node in ast.walk(call)}
    known = docstrings(tree) | translated | coded
    for node in ast.walk(tree):
        text = node.value if isinstance(node, ast.Constant) and id(node) not in known else ""
        if isinstance(text, str) and SENTENCE.match(text):
            yield f"{where(file, node)}: a sentence without _(): {text[:40]!r}"


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_every_text_of_the_panels_can_be_translated(file):
    assert list(problems_of(tree_of(file), file)) == []


@pytest.mark.parametrize(
    "code",
    [
        'x = _(f"{a} is missing")',
        'x = _("a " + b)',
        'x = _("{} of {}").format(1, 2)',
        'x = _("%s is missing") % a',
        'x = _("{name} is missing").format(nome=1)',
        'self.say("Done with it")',
        'self.ui.label.text = f"{n} slices"',
        'raise InputError("this is wrong")',
        'names = ["Left ventricle volume"]',
    ],
)
def test_the_check_finds_what_it_is_for(code):
    assert list(problems_of(ast.parse(code), Path("made_up.py")))


@pytest.mark.parametrize("file", UI_FILES, ids=lambda file: file.name)
def test_every_text_of_a_ui_file_can_be_translated_and_no_machine_name_can(file):
    wrong = []
    for item in ElementTree.parse(file).iter("property"):
        lists = [item.find("string"), item.find("stringlist")]
        for element in [found for found in lists if found is not None]:
            words = "".join(element.itertext()).strip()
            fixed = element.get("notr") == "true"
            machine = item.get("name") in MACHINE_NAMES
            if machine and not fixed:
                wrong.append(f"{item.get('name')} '{words}' must be notr")
            if fixed and not machine and re.search("[A-Za-z]{2}", words):
                wrong.append(f"{item.get('name')} '{words}' is notr, and people read it")
    assert wrong == []
