#!/usr/bin/env python3
"""Set up an environment and run the demo or the tests, or gather the packages for a computer without internet.

`python3 dev.py demo`, `python3 dev.py test`, `python3 dev.py wheels FOLDER`. Standard library only. The environments
live in `.venv-demo` and `.venv-test` beside this file and are reused; delete the folder to start over.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent
OLDEST_PYTHON = (3, 11)
NEWEST_PYTHON = (3, 13)
DEMO_LIBRARIES = {"libEGL.so.1": ("libegl1", "libgl1-mesa-dri")}
"""By library, the Debian packages that VTK needs to draw off screen; absent from a bare Debian or Ubuntu."""
TEST_LIBRARIES = {
    **DEMO_LIBRARIES,
    "libGL.so.1": ("libgl1",),
    "libfontconfig.so.1": ("libfontconfig1",),
    "libxkbcommon.so.0": ("libxkbcommon0",),
    "libdbus-1.so.3": ("libdbus-1-3",),
    "libglib-2.0.so.0": ("libglib2.0-0",),
}
"""The same with what Qt needs for the tests of the panel."""
SIZES = {
    "demo": "about 0.4 GB to download, 1.6 GB on disk, a minute or two",
    "test": "about 3.4 GB to download, 7.6 GB on disk, 3 minutes or more (PyTorch comes with its GPU libraries)",
}

TEST_PROCESSES = 2
"""Side by side, file by file. Each takes up to 2.5 GB."""

PROJECT = "sparsecardiacseg"
CORE_EXTRAS = "onnx"
SLICER_PACKAGES = ("onnxruntime>=1.20", "psutil>=5.9")
"""What the embedded models need and Slicer lacks, as `panels/requirements.py` asks for it."""
SLICER_PYTHON = "3.12"
"""Of Slicer 5.10 and later."""
SYSTEMS = {
    "linux": ("manylinux_2_28_x86_64", "manylinux_2_27_x86_64", "manylinux2014_x86_64", "manylinux2010_x86_64"),
    "windows": ("win_amd64",),
    "mac": (
        *(f"macosx_{version}_0_arm64" for version in (14, 13, 12, 11)),
        "macosx_11_0_universal2",
        "macosx_10_9_universal2",
    ),
}
"""By system, the tags of packages that run on it: pip takes every tag as it is, without the older ones."""
SLICER_PROVIDES = ("numpy", "scipy", "simpleitk", "requests", "vtk")
"""Slicer's own builds of these stay; wheels of them would only fill the folder."""


def say(text: str) -> None:
    """Tell the person at the terminal what is going on."""
    sys.stdout.write(f"[dev] {text}\n")
    sys.stdout.flush()


def stop(text: str) -> None:
    """End with a message on stderr and exit code 2."""
    sys.stderr.write(f"[dev] {text}\n")
    raise SystemExit(2)


def find_python() -> str:
    """A Python between 3.11 and 3.13: the one running, else one on PATH."""
    if OLDEST_PYTHON <= sys.version_info[:2] <= NEWEST_PYTHON:
        return sys.executable
    for minor in range(NEWEST_PYTHON[1], OLDEST_PYTHON[1] - 1, -1):
        found = shutil.which(f"python3.{minor}")
        if found:
            return found
    return stop(f"Python 3.11 to 3.13 is needed; this is {sys.version.split()[0]} and no other is on PATH.")


def install_system_packages(packages: list[str]) -> None:
    """Install Debian packages as root or through sudo; otherwise say which command to run."""
    command = ["apt-get", "install", "-y", "--no-install-recommends", *packages]
    if not shutil.which("apt-get"):
        stop(f"these system packages are missing and must be installed by hand: {' '.join(packages)}")
    prefix = [] if os.geteuid() == 0 else ["sudo"]
    if prefix and not shutil.which("sudo"):
        stop(f"as root, run: {' '.join(command)}")
    say(f"installing system packages: {' '.join(packages)}")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    subprocess.run([*prefix, "apt-get", "update", "-q"], check=False, env=environment, stdout=subprocess.DEVNULL)
    if subprocess.run([*prefix, *command], env=environment, stdout=subprocess.DEVNULL).returncode:
        stop(f"could not install system packages; run this by hand, then try again: {' '.join(command)}")


def missing_packages(libraries: dict[str, tuple[str, ...]]) -> list[str]:
    """Debian packages of those libraries that the dynamic linker cannot find (Linux only)."""
    if not sys.platform.startswith("linux"):
        return []
    listing = ""
    for linker in ("/sbin/ldconfig", "ldconfig"):
        if shutil.which(linker):
            listing = subprocess.run([linker, "-p"], capture_output=True, text=True).stdout
            break
    return [package for library, packages in libraries.items() if library not in listing for package in packages]


def make_environment(extra: str, wheel_folder: Path | None = None) -> Path:
    """Create (or reuse, until pyproject.toml changes) `.venv-<extra>` with this project in it; returns its Python.

    Packages come from `wheel_folder`, as `wheels` gathered them, or from the internet.
    """
    folder = ROOT / f".venv-{extra}"
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    stamp = folder / "installed"
    wanted = hashlib.sha256((ROOT / "pyproject.toml").read_bytes()).hexdigest()
    if stamp.is_file() and stamp.read_text() == wanted and python.exists():
        return python
    base = find_python()
    say(f"making an environment in {folder.name} ({SIZES[extra]}; nothing outside this folder is changed)")
    if not python.exists() or subprocess.run([str(python), "-m", "pip", "--version"], capture_output=True).returncode:
        shutil.rmtree(folder, ignore_errors=True)
        if subprocess.run([base, "-m", "venv", str(folder)], capture_output=True).returncode:
            version = subprocess.run(
                [base, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"], capture_output=True, text=True
            ).stdout.strip()
            install_system_packages([f"python{version}-venv"])
            shutil.rmtree(folder, ignore_errors=True)
            subprocess.run([base, "-m", "venv", str(folder)], check=True)
    started = time.monotonic()
    command = [str(python), "-m", "pip", "install", "--disable-pip-version-check", "-e", f".[{extra}]"]
    if wheel_folder is not None:
        command += ["--no-index", "--find-links", str(wheel_folder)]
    if not sys.stdout.isatty():  # a person wants pip's progress bars, a log does not
        command.append("-q")
    if subprocess.run(command, cwd=ROOT).returncode:
        stop("installing the Python packages failed; pip's own message above says why. Is the network reachable?")
    stamp.write_text(wanted)
    say(f"environment ready after {time.monotonic() - started:.0f} s")
    return python


def prepare_system(libraries: dict[str, tuple[str, ...]]) -> None:
    """Install the system libraries that are missing."""
    packages = missing_packages(libraries)
    if packages:
        install_system_packages(packages)


def demo(out: Path, wheel_folder: Path | None = None) -> int:
    """Run the main job on the bundled real case and say where to look."""
    prepare_system(DEMO_LIBRARIES)
    python = make_environment("demo", wheel_folder)
    say("running the main job on the bundled case (Sunnybrook SC-HF-I-01, real data)")
    code = subprocess.run([str(python), "-m", "SparseCardiacSegLib", "demo", "--out", str(out)], cwd=ROOT).returncode
    if code == 0:
        say(f"done. Open {out / 'report.html'} in a browser, and {out / 'study.mrb'} in 3D Slicer.")
    return code


def test(arguments: list[str]) -> int:
    """Lint, check the direction of imports, and run every test that this machine can run."""
    prepare_system(TEST_LIBRARIES)
    python = make_environment("test")
    scripts = python.parent
    suffix = ".exe" if os.name == "nt" else ""
    steps = [
        [str(scripts / f"ruff{suffix}"), "check", "."],
        [str(scripts / f"ruff{suffix}"), "format", "--check", "."],
        [str(scripts / f"lint-imports{suffix}")],
    ]
    # The window tests have a process of their own: torch, imported after PySide6 and VTK, has crashed the interpreter.
    others = ["-q", "--ignore=Testing/gui", "-n", str(TEST_PROCESSES), "--dist", "loadfile"]
    for tests in [arguments] if arguments else [others, ["-q", "Testing/gui"]]:
        steps.append([str(python), "-m", "pytest", *tests])
    threads = str(max(1, (os.cpu_count() or 1) // TEST_PROCESSES))
    for step in steps:
        say(" ".join([Path(step[0]).name, *step[1:]]))
        code = subprocess.run(step, cwd=ROOT, env={"OMP_NUM_THREADS": threads, **os.environ}).returncode
        if code:
            return code
    return 0


def wheels(folder: Path, extras: str, slicer: bool, python_version: str | None, system: str | None) -> int:
    """Gather every package that an installation needs as .whl files, for a computer without internet.

    Args:
        folder: where to put them; what is there stays.
        extras: of pyproject.toml, separated by commas, for the command line.
        slicer: only what Slicer itself lacks, for the folder that the module's Settings section names.
        python_version: of the other computer, such as 3.12; None for the Python that runs this.
        system: a key of `SYSTEMS`; None for this computer's.
    """
    folder.mkdir(parents=True, exist_ok=True)
    pip = [find_python(), "-m", "pip", "--disable-pip-version-check"]
    where = ["--dest", str(folder), "--find-links", str(folder), "--only-binary=:all:"]
    where += ["--python-version", python_version, "--implementation", "cp"] if python_version else []
    where += [part for platform in SYSTEMS.get(system, ()) for part in ("--platform", platform)]
    wanted = list(SLICER_PACKAGES) if slicer else [f"{PROJECT}[{extras}]"]
    if not slicer:  # its own wheel tells pip what it needs; editable installations need setuptools too
        if subprocess.run([*pip, "wheel", "-q", "--no-deps", "--wheel-dir", str(folder), str(ROOT)]).returncode:
            stop("building the project's own wheel failed; pip's message above says why")
        wanted.append("setuptools>=70")
    if subprocess.run([*pip, "download", "-q", *where, *wanted]).returncode:
        stop("gathering the packages failed; pip's message above says why. Is the network reachable?")
    # The project itself is installed from a copy of this repository, which holds the models.
    superfluous = SLICER_PROVIDES if slicer else (PROJECT,)
    for file in folder.glob("*.whl"):
        if file.name.split("-")[0].lower() in superfluous:
            file.unlink()
    files = sorted(folder.glob("*.whl"))
    say(f"{len(files)} packages, {sum(file.stat().st_size for file in files) / 1e6:.0f} MB, in {folder}")
    if slicer:
        say("in the Settings section of the module, choose this folder as Package folder, then press Install")
    else:
        command = f"python -m pip install --no-index --find-links {folder} -e '.[{extras}]'"
        say(f"there, in a copy of this repository: {command}")
    return 0


def main() -> int:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    demo_parser = commands.add_parser("demo", help="run the main job on the bundled real case")
    demo_parser.add_argument("--out", type=Path, default=ROOT / "demo-out", help="where to write (default: demo-out)")
    demo_parser.add_argument("--wheels", type=Path, help="install from this folder, not from the internet")
    test_parser = commands.add_parser("test", help="pass all tests; further arguments go to pytest")
    test_parser.add_argument("arguments", nargs=argparse.REMAINDER)
    wheels_parser = commands.add_parser("wheels", help="gather the packages for a computer without internet")
    wheels_parser.add_argument("folder", type=Path)
    wheels_parser.add_argument("--extras", default=CORE_EXTRAS, help=f"of pyproject.toml (default: {CORE_EXTRAS})")
    wheels_parser.add_argument("--slicer", action="store_true", help="only what Slicer's own Python lacks")
    wheels_parser.add_argument("--system", choices=SYSTEMS, help="of the other computer (default: as this one)")
    wheels_parser.add_argument(
        "--python-version", help=f"of the other computer (default: as here; with --slicer or --system {SLICER_PYTHON})"
    )
    options = parser.parse_args()
    if options.command == "wheels":
        version = options.python_version or (SLICER_PYTHON if options.slicer or options.system else None)
        return wheels(options.folder.resolve(), options.extras, options.slicer, version, options.system)
    if options.command == "demo":
        return demo(options.out.resolve(), options.wheels.resolve() if options.wheels else None)
    return test(options.arguments)


if __name__ == "__main__":
    raise SystemExit(main())
