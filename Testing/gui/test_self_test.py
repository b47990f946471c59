"""The module's own self-test (`Reload and Test`) in the stand-in host, with the embedded models and real workers.

What Slicer does and the stand-in does not is put in its place here: reading files, saving scenes, choosing modules,
PythonSlicer. So what is tested is the self-test itself, and that the module passes it as far as this host goes.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from argparse import Namespace
from pathlib import Path
from types import SimpleNamespace

import pytest

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import slicer
import slicer_shims
import vtk
from SparseCardiacSegLib.io import read_stack
from SparseCardiacSegLib.mrml.bundle import read_bundle, save_scene
from SparseCardiacSegLib.mrml.volumes import volume_from_stack

LIBRARY = "SparseCardiacSegLib"

pytestmark = pytest.mark.skipif(os.name == "nt", reason="the stand-in for PythonSlicer is a shell script")


class Application:
    """The parts of Slicer that the self-test needs beyond the stand-in host."""

    def __init__(self, app):
        self.app = app
        self.module = slicer_shims.OpenModule(app)
        self.module.widget.onReload = self.reload
        self.fresh = []

    def widget(self, _name):
        return self.module.widget

    def new_widget(self, _name):
        made = slicer_shims.OpenModule(self.app)
        self.fresh.append(made)
        made.widget.parent.deleteLater = lambda: None
        return made.widget

    def select(self, name):
        if name == "SparseCardiacSeg":
            self.module.enter()
        else:
            self.module.leave()

    def reload(self):
        """As `ScriptedLoadableModuleWidget.onReload` after the module has thrown its library away."""
        for name in [name for name in sys.modules if name.split(".")[0] == LIBRARY]:
            del sys.modules[name]
        self.module.widget.cleanup()
        self.module = slicer_shims.OpenModule(self.app)

    def close(self):
        self.module.close()


def load(path, name="", label_map=False):
    return volume_from_stack(read_stack(path), name or Path(path).name.split(".")[0], label_map=label_map)


def download_sample(_logic, name):
    """From the address that the module has registered, which must be a file of the installation."""
    sources = [one for group in slicer.modules.sampleDataSources.values() for one in group if one.sampleName == name]
    (source,) = sources
    assert source.uris.startswith("file://")
    return load(Path(source.uris.removeprefix("file://")), source.nodeNames)


def restore(path):
    read_bundle(path)
    return True


def save(path):
    save_scene(path)
    return True


@pytest.fixture
def application(tmp_path, monkeypatch):
    launcher = tmp_path / "bin" / "PythonSlicer"
    launcher.parent.mkdir()
    launcher.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    launcher.chmod(0o755)
    kept = {name: module for name, module in sys.modules.items() if name.split(".")[0] == LIBRARY}
    with slicer_shims.application(tmp_path) as app:
        running = Application(app)
        functions = {
            "getModuleWidget": running.widget,
            "getNewModuleWidget": running.new_widget,
            "selectModule": running.select,
            "loadLabelVolume": lambda path: load(path, label_map=True),
            "saveScene": save,
            "loadScene": restore,
        }
        for name, function in functions.items():
            monkeypatch.setattr(slicer.util, name, function, raising=False)
        monkeypatch.setattr(sys.modules["SampleData"].SampleDataLogic, "downloadSample", download_sample, raising=False)
        yield running
        running.close()
    # The reload has imported the library anew; the tests after this one hold the old classes.
    for name in [name for name in sys.modules if name.split(".")[0] == LIBRARY]:
        del sys.modules[name]
    sys.modules.update({name: module for name, module in kept.items() if not name.startswith(f"{LIBRARY}.panels")})


def run(application, monkeypatch, only=None):
    """The self-test as Slicer's test class runs it; returns what it said and its report."""
    from SparseCardiacSegLib.panels.self_test import runner

    said = []
    test = application.module.file.SparseCardiacSegTest()
    test.delayDisplay = lambda message, *_: said.append(message)
    chosen = tuple(step for step in runner.steps() if only is None or step.run.__name__ in only)
    monkeypatch.setattr(runner, "steps", lambda: chosen)
    try:
        return said, runner.run(test, application.module.file.SparseCardiacSegLogic)
    except runner.SelfTestFailed as failure:
        return said, failure.report


@pytest.mark.slow
def test_every_step_passes_with_the_embedded_models(application, monkeypatch):
    said, report = run(application, monkeypatch)
    assert report.failed == {}, report.text()
    assert report.not_run == {}
    assert said[-1] == "Passed"
    assert len(report.passed) > 20


def test_a_broken_feature_fails_its_step_and_the_others_still_run(application, monkeypatch):
    from SparseCardiacSegLib.mrml.edit_history import EditHistory

    monkeypatch.setattr(EditHistory, "undo", lambda _history: False)
    broken = "writing_keeps_what_the_user_made_and_is_undone_in_one_step"
    said, report = run(application, monkeypatch, (broken, "volumes_keep_their_geometry", "bad_input_is_explained"))
    assert list(report.failed) == [broken.replace("_", " ")]
    assert len(report.passed) == 2
    assert said[-1] == "Failed: " + broken.replace("_", " ")


def test_an_error_that_the_application_prints_and_forgets_fails_the_step(application, monkeypatch):
    import pythonqt
    from SparseCardiacSegLib.panels.study_panel import StudyPanel

    monkeypatch.setattr(StudyPanel, "updateInfo", lambda _panel: [][0])
    name = "writing_keeps_what_the_user_made_and_is_undone_in_one_step"
    _said, report = run(application, monkeypatch, (name,))
    pythonqt.slot_errors.clear()  # the stand-in host has heard of it, too
    assert "IndexError" in report.failed[name.replace("_", " ")]


def test_steps_whose_packages_are_missing_are_said_not_to_have_run(application, monkeypatch):
    from SparseCardiacSegLib.panels import requirements

    lacking = requirements.Package("no_such_package", "no-such-package>=1", 20)
    monkeypatch.setattr(requirements, "ONNX_PACKAGES", (lacking,))
    said, report = run(application, monkeypatch, ("a_script_can_segment", "volumes_keep_their_geometry"))
    assert report.failed == {}
    assert "no_such_package" in report.not_run["a script can segment"]
    assert said[-1].startswith("Passed, except that this was NOT RUN: a script can segment")


def test_a_message_of_vtk_is_told_with_the_report(application, monkeypatch):
    from SparseCardiacSegLib.panels.self_test import opening

    checked = opening.the_module_is_prepared

    def with_a_message(bench):
        vtk.vtkOutputWindow.GetInstance().DisplayErrorText("ERROR: something of VTK's\n\n")
        checked(bench)

    monkeypatch.setattr(opening, "STEPS", (type(opening.STEPS[0])(with_a_message),))
    _said, report = run(application, monkeypatch, ("with_a_message",))
    assert "something of VTK's" in report.text()


def test_the_applications_log_is_read_from_where_it_stood(application, monkeypatch, tmp_path):
    from SparseCardiacSegLib.panels.self_test import console

    log = tmp_path / "Slicer.log"
    log.write_text("[ERROR][VTK] 01.01.2026 10:00:00 [] (unknown:0) - before the test\n")
    monkeypatch.setattr(console, "_log_file", lambda: log)
    assert application.app is slicer.app
    with console.Console() as listening:
        with log.open("a") as stream:
            stream.write("[INFO][Python] 01.01.2026 10:00:01 [] (unknown:0) - all is well\n")
            stream.write("[WARNING][VTK] 01.01.2026 10:00:02 [] (unknown:0) - something\nthat goes on\n")
            stream.write("[CRITICAL][Stream] 01.01.2026 10:00:03 [] (a:1) - Traceback (most recent call last):\n  at\n")
        (told,) = listening.messages()
    assert told.endswith("something\nthat goes on")


@pytest.fixture
def script(application, monkeypatch):
    """`Testing/slicer/run_self_test.py` in an application that has the module."""
    path = Path(__file__).parents[1] / "slicer" / "run_self_test.py"
    found = importlib.util.spec_from_file_location("run_self_test", path)
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    known = {"SparseCardiacSeg": application.module}
    monkeypatch.setattr(type(application.app), "moduleManager", lambda _app: SimpleNamespace(module=known.get))
    module.known = known
    return module


@pytest.mark.parametrize(
    ("content", "strict", "code"),
    [
        ({"passed": {"one": 1.0}}, False, 0),
        ({"passed": {"one": 1.0}, "not_run": {"two": "no model"}}, False, 0),
        ({"passed": {"one": 1.0}, "not_run": {"two": "no model"}}, True, 3),
        ({"passed": {"one": 1.0}, "failed": {"three": "why it failed"}}, False, 1),
    ],
)
def test_the_runners_exit_code_and_report_are_honest(script, monkeypatch, tmp_path, capsys, content, strict, code):
    from SparseCardiacSegLib.panels import self_test

    def pretend(_test, _logic, _pictures):
        report = self_test.Report(**content)
        if report.failed:
            raise self_test.SelfTestFailed(report)
        return report

    monkeypatch.setattr(self_test, "run", pretend)
    assert script.run(Namespace(output=tmp_path / "out", strict=strict)) == code
    written = (tmp_path / "out" / "report.txt").read_text()
    assert written in capsys.readouterr().out
    assert ("NOT RUN" in written) == ("not_run" in content)
    assert ("why it failed" in written) == ("failed" in content)


def test_the_runner_says_when_the_module_is_not_loaded(script, capsys):
    script.known.clear()
    assert script.run(Namespace(output=None, strict=False)) == 2
    assert "--additional-module-paths" in capsys.readouterr().err
