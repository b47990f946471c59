"""Python packages: what is missing or wrong, what is told, and installing with the real pip into a folder."""

# ruff: noqa: ARG001 (fixtures that prepare the application; functions with the signatures of Slicer's)

from __future__ import annotations

import importlib
import importlib.machinery
import importlib.metadata
import os
import shutil
import subprocess
import sys
import time
import zipfile
from types import ModuleType, SimpleNamespace

import pytest

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import slicer
import slicer_shims
from SparseCardiacSegLib.errors import InputError


def make_wheel(folder, name, version, requires=()):
    """A Python package of one module."""
    info = f"{name}-{version}.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as archive:
        archive.writestr(f"{name}.py", f"version = '{version}'\n")
        archive.writestr(f"{info}/METADATA", metadata + "".join(f"Requires-Dist: {text}\n" for text in requires))
        tag = "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        archive.writestr(f"{info}/WHEEL", tag)
        archive.writestr(f"{info}/RECORD", "")


@pytest.fixture
def requirements(app):
    return importlib.import_module("SparseCardiacSegLib.panels.requirements")


@pytest.fixture
def package_install(app):
    return importlib.import_module("SparseCardiacSegLib.panels.package_install")


@pytest.fixture
def wheels(tmp_path):
    """A folder of packages: a heart that needs a valve and what Slicer provides, and an old heart."""
    folder = tmp_path / "wheels of the hospital"
    folder.mkdir()
    make_wheel(folder, "tinyheart", "1.0")
    make_wheel(
        folder, "tinyheart", "2.5", ["tinyvalve>=1", "numpy>=1", "simpleitk", 'nothere; sys_platform == "nowhere"']
    )
    make_wheel(folder, "tinyvalve", "1.1", ["tinyheart"])
    return folder


@pytest.fixture
def site(tmp_path, monkeypatch):
    """The folder that packages are installed into, by the real pip as Slicer 5.10 calls it; the calls in a list."""
    folder = tmp_path / "site"
    folder.mkdir()
    calls = []

    def pip_install(arguments):
        calls.append(list(arguments))
        command = [sys.executable, "-m", "pip", "install", "--target", str(folder), "--upgrade", *arguments]
        done = subprocess.run(command, capture_output=True, check=False)
        if done.returncode:
            raise subprocess.CalledProcessError(done.returncode, command)

    monkeypatch.setattr(slicer.util, "pip_install", pip_install, raising=False)
    monkeypatch.syspath_prepend(str(folder))
    # pip's own configuration of the test machine must not answer for an unreachable server.
    for name in [name for name in os.environ if name.upper().startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_RETRIES", "0")
    return SimpleNamespace(folder=folder, calls=calls)


@pytest.fixture
def slicer_packaging(site, monkeypatch):
    """slicer.packaging of Slicer 5.12, as far as it is used: the same signature, the same forgiving of failures."""
    module = ModuleType("slicer.packaging")
    module.__spec__ = importlib.machinery.ModuleSpec("slicer.packaging", None)
    module.calls = []

    def pip_ensure(
        requirements,
        constraints=None,
        skip_packages=None,
        prompt_install=True,
        prompt_restart=True,
        requester=None,
        skip_in_testing=True,
        show_progress=True,
    ):
        module.calls.append(SimpleNamespace(**locals()))
        if skip_in_testing and slicer.app.testingEnabled():
            return None
        for depth, requirement in enumerate([*requirements, *module.dependencies]):
            try:
                slicer.util.pip_install(["--no-deps", "-c", str(constraints), requirement])
            except subprocess.CalledProcessError:
                if depth < len(requirements):
                    raise
        return []

    module.pip_ensure = pip_ensure
    module.dependencies = []
    monkeypatch.setitem(sys.modules, "slicer.packaging", module)
    monkeypatch.setattr(slicer.app, "testingEnabled", lambda: False)
    return module


HEART = "tinyheart>=2"


def installed(site):
    return {dist.metadata["Name"]: dist.version for dist in importlib.metadata.distributions(path=[str(site.folder)])}


def test_packages_are_installed_from_a_folder_without_internet_and_slicers_own_are_left_alone(
    package_install, site, wheels
):
    before = dict(os.environ)
    package_install.install([HEART], wheels)
    assert installed(site) == {"tinyheart": "2.5", "tinyvalve": "1.1"}
    assert dict(os.environ) == before
    calls = list(site.calls)
    package_install.install([HEART], wheels)
    assert site.calls == calls  # nothing was missing


def test_an_installation_that_broke_off_is_finished_by_the_next(package_install, requirements, site, wheels):
    heart = requirements.Package("tinyheart", HEART, 1)
    site_only = ["--no-deps", "--no-index", "--find-links", str(wheels)]
    slicer.util.pip_install([*site_only, HEART])
    importlib.invalidate_caches()
    assert heart.is_installed()
    assert not heart.is_usable()
    package_install.install([HEART], wheels)
    assert heart.is_usable()


def test_a_folder_without_the_package_says_so_and_how_to_fill_it(package_install, site, wheels):
    with pytest.raises(InputError) as caught:
        package_install.install(["tinylung>=1"], wheels)
    assert "holds no file of tinylung>=1 that fits Python" in str(caught.value)
    assert "pip wheel --wheel-dir" in str(caught.value)
    assert "No matching distribution found for tinylung" in caught.value.details
    assert "Traceback" not in caught.value.details


def test_a_missing_dependency_of_a_package_is_named(package_install, site, wheels):
    (wheels / "tinyvalve-1.1-py3-none-any.whl").unlink()
    with pytest.raises(InputError, match="holds no file of tinyvalve>=1"):
        package_install.install([HEART], wheels)


def test_an_empty_package_folder_is_told_before_pip_is_started(package_install, site, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"holds no \.whl file"):
        package_install.install([HEART], tmp_path / "empty")
    assert site.calls == []


def test_without_internet_the_sentence_says_so_and_names_the_other_way(package_install, site, monkeypatch):
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    with pytest.raises(InputError, match=r"cannot be reached.*Connect to the internet.*Settings section"):
        package_install.install(["tinylung>=1"])


def test_slicer_5_12_installs_with_pip_ensure_and_leaves_out_what_slicer_provides(
    package_install, site, slicer_packaging, wheels
):
    slicer_packaging.dependencies = ["tinyvalve>=1"]
    package_install.install([HEART], wheels)
    (call,) = slicer_packaging.calls
    assert call.requirements == [HEART]
    assert {"torch", "SimpleITK", "numpy", "vtk"} <= set(call.skip_packages)
    assert call.prompt_install is False
    assert call.requester == "SparseCardiacSeg"
    assert installed(site) == {"tinyheart": "2.5", "tinyvalve": "1.1"}


def test_a_dependency_that_slicers_installer_passed_over_is_not_passed_over(
    package_install, site, slicer_packaging, wheels
):
    (wheels / "tinyvalve-1.1-py3-none-any.whl").unlink()
    slicer_packaging.dependencies = ["tinyvalve>=1"]
    with pytest.raises(InputError, match=r"tinyvalve>=1 that fits.*Not installed: tinyvalve>=1"):
        package_install.install([HEART], wheels)


def test_in_testing_mode_it_is_said_that_nothing_was_installed(
    package_install, site, slicer_packaging, wheels, monkeypatch
):
    monkeypatch.setattr(slicer.app, "testingEnabled", lambda: True)
    with pytest.raises(InputError, match="testing mode"):
        package_install.install([HEART], wheels)
    assert installed(site) == {}


def test_the_constraints_keep_what_slicer_provides_at_its_version(package_install, wheels):
    with package_install._pip_settings(["numpy", "vtk", "nosuchthing"], wheels) as (constraints, _log):
        lines = constraints.read_text().splitlines()
    assert lines[0] == f"numpy=={importlib.metadata.version('numpy')}"
    assert lines[1] == f"vtk=={importlib.metadata.version('vtk')}"
    assert lines[2:] == ["--no-index", f"--find-links {wheels.as_uri()}"]
    assert not constraints.exists()


def pretend(folder, name, version):
    """The metadata of an installed package, found before the real one's."""
    for old in folder.glob(f"{name}-*.dist-info"):
        shutil.rmtree(old)
    info = folder / f"{name}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")


def test_too_old_and_known_bad_versions_are_told_and_count_as_missing(requirements, site):
    pretend(site.folder, "onnxruntime", "1.15.0")
    pretend(site.folder, "torch", "2.9.1")
    (onnx,) = requirements.missing_packages(needs_torch=False)
    assert requirements.missing_sentence([onnx]) == "onnxruntime 1.15.0 is installed, but onnxruntime>=1.20 is needed."
    missing = requirements.missing_packages(needs_torch=True)
    assert missing[0] is requirements.TORCH
    assert "torch 2.9.1 is installed, but torch>=2.6,!=2.9.* is needed" in requirements.missing_sentence(missing)
    pretend(site.folder, "torch", "2.10.0+cu130")
    pretend(site.folder, "onnxruntime", "1.31.1")
    assert requirements.TORCH not in requirements.missing_packages(needs_torch=True)
    assert requirements.missing_packages(needs_torch=False) == ()


def test_the_button_tells_the_download_that_the_embedded_models_need_and_only_others_are_offered_torch(requirements):
    core, torch = requirements.ONNX_PACKAGES, requirements.TORCH_PACKAGES
    assert requirements.install_text(core) in ("Install (24 MB)…", "Install (16 MB)…", "Install (22 MB)…")
    assert requirements.install_text(torch) == "Install packages…"
    assert not {package.module for package in core} & {"torch", "torchvision", "nnunetv2", "segment_anything", "monai"}
    assert set(requirements.missing_packages(needs_torch=False)) <= set(core)
    assert set(requirements.missing_packages(needs_torch=False, prompting=True)) <= set(core)


def test_looking_for_packages_again_takes_no_time(requirements):
    requirements.missing_packages(needs_torch=True)
    started = time.process_time()
    for _ in range(10):
        requirements.missing_packages(needs_torch=True)
    assert time.process_time() - started < 0.2


def test_the_question_tells_what_where_from_and_how_large_and_no_means_no(app, requirements, site, wheels):
    from SparseCardiacSegLib.panels.settings import current_settings

    heart = requirements.Package("tinyheart", HEART, 1234)
    app.windows.answer("confirmOkCancelDisplay", False, False, True)
    assert requirements.ask_and_install([heart]) is False
    current_settings().wheel_folder = wheels
    assert requirements.ask_and_install([heart]) is False
    assert site.calls == []
    online, offline = app.windows.texts("confirmOkCancelDisplay")
    for text in (online, offline):
        assert HEART in text
        assert "1.2 GB" in text
    assert "needs the internet" in online
    assert str(wheels) in offline
    assert "internet" not in offline
    assert requirements.ask_and_install([heart]) is True
    assert installed(site) == {"tinyheart": "2.5", "tinyvalve": "1.1"}


def test_torch_is_left_to_the_pytorch_extension(app, requirements, site, monkeypatch):
    with pytest.raises(InputError, match="Extensions Manager"):
        requirements.ask_and_install([requirements.TORCH])
    installs = []

    class PyTorchUtilsLogic:
        def installTorch(self, askConfirmation=False):  # noqa: N803
            installs.append(askConfirmation)
            return object()

    monkeypatch.setitem(sys.modules, "PyTorchUtils", SimpleNamespace(PyTorchUtilsLogic=PyTorchUtilsLogic))
    app.windows.answer("confirmOkCancelDisplay", True, True)
    requirements.ask_and_install([requirements.TORCH, requirements.TORCHVISION])
    assert installs == [False]
    assert site.calls == []
    monkeypatch.setattr(PyTorchUtilsLogic, "installTorch", lambda *_, **__: None)
    with pytest.raises(InputError, match="PyTorch Util"):
        requirements.ask_and_install([requirements.TORCH])


def test_torch_is_taken_from_the_package_folder_where_the_user_has_put_it(requirements, wheels):
    packages = [requirements.TORCH, requirements.TORCHVISION]
    make_wheel(wheels, "torch", "2.10.0")
    assert requirements._left_to_extension(packages, wheels) == [requirements.TORCHVISION]
    assert requirements._left_to_extension(packages, None) == packages


CAUSES = [
    ("OSError: [Errno 28] No space left on device", "disk is full"),
    ("ERROR: Could not install packages due to an OSError: [WinError 112] not enough space", "disk is full"),
    ("OSError: [WinError 206] The filename or extension is too long: 'C:\\\\Users", "path is longer"),
    ("HINT: This error might have occurred since this system lacks Windows Long Path support", "path is longer"),
    ("[WinError 32] The process cannot access the file because it is being used by another process", "in use"),
    ("ERROR: [Errno 13] Permission denied: '/opt/Slicer/lib/Python'", "no permission"),
    ("[WinError 5] Access is denied: 'C:\\\\Program Files\\\\Slicer", "no permission"),
    ("ProxyError('Cannot connect to proxy.', OSError('Tunnel connection failed: 407", "proxy server refused"),
    ("SSLError(SSLCertVerificationError(1, '[SSL: CERTIFICATE_VERIFY_FAILED]", "certificate cannot be verified"),
    ("NewConnectionError: Failed to establish a new connection: [Errno -3] Temporary failure in name resolution\n"
     "ERROR: No matching distribution found for onnxruntime>=1.20", "cannot be reached"),
    ("ReadTimeoutError(\"HTTPSConnectionPool: Read timed out.", "broke off"),
    ("THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE", "arrived damaged"),
    ("ERROR: No matching distribution found for onnxruntime>=1.20", "no onnxruntime>=1.20 for Python 3"),
    ("error: subprocess-exited-with-error", "compiled on this computer"),
    ("pip._internal.exceptions.DistributionNotFound: ResolutionImpossible: for help", "contradict others"),
    ("it is raining", "stopped with an error"),
]  # fmt: skip


@pytest.mark.parametrize(("log", "cause"), CAUSES)
def test_every_failure_of_pip_has_a_cause_and_a_remedy(app, log, cause):
    from SparseCardiacSegLib.panels.install_errors import explain

    explanation = explain(log)
    assert cause in explanation.cause
    assert explanation.remedy.endswith((".", "PACKAGE"))


def test_opening_the_module_installs_and_asks_nothing(app, site, slicer_packaging):
    module = slicer_shims.OpenModule(app, only=["study"])
    module.close()
    assert site.calls == slicer_packaging.calls == []
    assert app.windows.shown == []
