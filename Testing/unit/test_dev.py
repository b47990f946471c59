"""The newcomer's command finds a Python, says what is missing, and never installs behind one's back."""

from __future__ import annotations

import ast
import importlib.util
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def dev():
    """dev.py as a module."""
    spec = importlib.util.spec_from_file_location("dev", ROOT / "dev.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_it_needs_nothing_but_the_standard_library():
    command = [sys.executable, "-S", str(ROOT / "dev.py"), "--help"]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "demo" in shown
    assert "test" in shown


def test_the_running_python_is_used_when_it_is_new_enough(dev, monkeypatch):
    monkeypatch.setattr(dev.sys, "version_info", (3, 12, 1, "final", 0))
    assert dev.find_python() == sys.executable


def test_an_old_python_looks_for_a_newer_one_on_path(dev, monkeypatch):
    monkeypatch.setattr(dev.sys, "version_info", (3, 9, 2, "final", 0))
    monkeypatch.setattr(dev.shutil, "which", lambda name: "/opt/python3.12" if name == "python3.12" else None)
    assert dev.find_python() == "/opt/python3.12"


def test_no_suitable_python_ends_with_a_sentence(dev, monkeypatch, capsys):
    monkeypatch.setattr(dev.sys, "version_info", (3, 9, 2, "final", 0))
    monkeypatch.setattr(dev.shutil, "which", lambda _name: None)
    with pytest.raises(SystemExit) as stop:
        dev.find_python()
    assert stop.value.code == 2
    assert "3.11" in capsys.readouterr().err


def test_missing_libraries_are_named_by_their_debian_package(dev, monkeypatch):
    listing = subprocess.CompletedProcess([], 0, stdout="libGL.so.1 (libc6,x86-64) => /usr/lib/libGL.so.1\n")
    monkeypatch.setattr(dev.sys, "platform", "linux")
    monkeypatch.setattr(dev.shutil, "which", lambda name: name)
    monkeypatch.setattr(dev.subprocess, "run", lambda *_arguments, **_options: listing)
    missing = dev.missing_packages(dev.TEST_LIBRARIES)
    assert missing[:2] == ["libegl1", "libgl1-mesa-dri"]
    assert "libgl1" not in missing


def test_without_apt_the_packages_are_named_instead_of_installed(dev, monkeypatch, capsys):
    monkeypatch.setattr(dev.shutil, "which", lambda _name: None)
    monkeypatch.setattr(dev.subprocess, "run", lambda *_arguments, **_options: pytest.fail("ran a command"))
    with pytest.raises(SystemExit):
        dev.install_system_packages(["libgl1"])
    assert "libgl1" in capsys.readouterr().err


def make_wheel(folder, name, version, *requires):
    """A Python package of one module."""
    info = f"{name}-{version}.dist-info"
    needs = "".join(f"Requires-Dist: {text}\n" for text in requires)
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as archive:
        archive.writestr(f"{name}.py", f"version = '{version}'\n")
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{needs}")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")


def test_wheels_for_slicer_hold_what_slicer_lacks_and_install_without_an_index(tmp_path):
    index, wheels, site = tmp_path / "index", tmp_path / "wheels of the ward", tmp_path / "site"
    index.mkdir()
    make_wheel(index, "onnxruntime", "1.99", "numpy>=1", "flatbuffers")
    for name in ("numpy", "flatbuffers", "psutil"):
        make_wheel(index, name, "9.0")
    # The real pip, with a folder in the place of the internet; afterwards that is gone too.
    environment = {name: value for name, value in os.environ.items() if not name.upper().startswith("PIP_")}
    environment |= {"PIP_CONFIG_FILE": os.devnull, "PIP_NO_INDEX": "1"}
    command = [sys.executable, str(ROOT / "dev.py"), "wheels", str(wheels), "--slicer"]
    done = subprocess.run(command, env={**environment, "PIP_FIND_LINKS": str(index)}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert {file.name.split("-")[0] for file in wheels.iterdir()} == {"onnxruntime", "psutil", "flatbuffers"}
    assert "Package folder" in done.stdout
    make_wheel(wheels, "numpy", "9.0")  # Slicer's own
    install = [sys.executable, "-m", "pip", "install", "-q", "--target", str(site), "--no-index", "--find-links"]
    subprocess.run([*install, str(wheels), "onnxruntime>=1.20", "psutil>=5.9"], env=environment, check=True)
    assert (site / "onnxruntime.py").is_file()
    assert (site / "flatbuffers.py").is_file()


def test_what_cannot_be_gathered_ends_with_a_sentence(tmp_path):
    environment = {**os.environ, "PIP_CONFIG_FILE": os.devnull, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(tmp_path)}
    command = [sys.executable, str(ROOT / "dev.py"), "wheels", str(tmp_path / "wheels"), "--slicer"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 2
    assert "gathering the packages failed" in done.stderr


def test_wheels_for_another_computer_name_its_python_and_platform(dev, tmp_path, monkeypatch):
    commands = []

    def run(command, **_options):
        commands.append(command)
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(dev.subprocess, "run", run)
    dev.wheels(tmp_path, "onnx", slicer=True, python_version="3.12", system="windows")
    text = " ".join(commands[-1])
    assert "--python-version 3.12" in text
    assert "--platform win_amd64" in text
    assert "--only-binary=:all:" in text
    assert commands[-1][-2:] == list(dev.SLICER_PACKAGES)


def test_the_demo_can_be_installed_from_a_folder_of_wheels(dev, tmp_path, monkeypatch):
    commands = []
    monkeypatch.setattr(dev, "ROOT", tmp_path)
    (tmp_path / "pyproject.toml").write_text("")

    def run(command, **_options):
        commands.append([str(part) for part in command])
        return subprocess.CompletedProcess(command, 0, stdout="3.11")

    monkeypatch.setattr(dev.subprocess, "run", run)
    for python in ("bin/python", "Scripts/python.exe"):
        (tmp_path / ".venv-demo" / python).parent.mkdir(parents=True)
        (tmp_path / ".venv-demo" / python).touch()
    dev.make_environment("demo", tmp_path / "wheels")
    install = next(command for command in commands if "install" in command)
    assert install[install.index("--find-links") + 1] == str(tmp_path / "wheels")
    assert "--no-index" in install


def test_slicers_packages_are_those_that_the_panel_asks_for(dev):
    source = ROOT / "SparseCardiacSeg" / "SparseCardiacSegLib" / "panels" / "requirements.py"
    asked = {}
    for node in ast.parse(source.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and node.targets[0].id == "ONNX_PACKAGES":
            asked = {package.args[1].value for package in node.value.elts}
    assert asked == set(dev.SLICER_PACKAGES)


def test_readme_and_ci_name_the_same_test_command():
    assert "python3 dev.py test" in (ROOT / "README.md").read_text()
    assert "python3 dev.py test" in (ROOT / ".ci" / "run").read_text()
