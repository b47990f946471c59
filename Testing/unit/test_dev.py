"""The newcomer's command finds a Python, says what is missing, and never installs behind one's back."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
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


def test_readme_and_ci_name_the_same_test_command():
    assert "python3 dev.py test" in (ROOT / "README.md").read_text()
    assert "python3 dev.py test" in (ROOT / ".ci" / "run").read_text()
