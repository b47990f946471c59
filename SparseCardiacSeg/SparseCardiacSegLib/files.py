"""Files and folders that are written whole or not at all."""

from __future__ import annotations

import errno
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from .errors import InputError

_REASONS = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EFBIG: "the file would be too large for this disk",
    errno.EACCES: "there is no permission to write there",
    errno.EPERM: "there is no permission to write there",
    errno.EROFS: "the disk is read-only",
    errno.EISDIR: "a folder of that name is in the way",
    errno.ENOTDIR: "a file is in the way where a folder is needed",
    errno.EEXIST: "a file is in the way where a folder is needed",
    errno.ENAMETOOLONG: "the name is too long",
    errno.EIO: "the disk reports an error",
    errno.ENOENT: "the folder does not exist or was removed meanwhile",
}


def disk_error(path: Path | str, error: OSError) -> InputError:
    """One sentence for an `OSError` met while writing `path`."""
    reason = _REASONS.get(error.errno or 0) or error.strerror or str(error) or type(error).__name__
    return InputError(f"cannot write {path}: {reason}")


@contextmanager
def write_atomically(path: Path | str) -> Iterator[Path]:
    """Write a file under a temporary name and give it its own name only when it is complete.

    The temporary file is hidden, lies in the same folder (so that the rename cannot cross disks) and ends in the full
    name of `path`, so that a library which chooses the format by suffix (`.nii.gz`, `.seg.nrrd`) chooses the same.
    Folders above `path` are created, and removed again on failure. A link is followed: its target is replaced.

    Args:
        path: the file to write; an existing one stays as it was until the new one is complete.

    Yields:
        The temporary path to write to. It does not exist yet.

    Raises:
        InputError: the disk refused (full, read-only, no permission, a folder in the way).
        RuntimeError: the body wrote nothing to the temporary path.
    """
    path = Path(path)
    target = Path(os.path.realpath(path))
    with _created_parents(path, target.parent):
        if os.path.lexists(target) and not target.is_file():
            raise InputError(f"cannot write {path}: it exists and is not a file")
        temporary = target.with_name(f".{uuid.uuid4().hex[:8]}-{target.name}")
        try:
            yield temporary
            if not temporary.is_file():
                raise RuntimeError(f"nothing was written to the temporary file of {path}")
            _flush(temporary)
            temporary.replace(target)
        except OSError as error:
            if _concerns(error, temporary):
                raise disk_error(path, error) from error
            raise
        finally:
            if os.path.lexists(temporary):
                temporary.unlink()


@contextmanager
def write_all_atomically(*paths: Path | str) -> Iterator[tuple[Path, ...]]:
    """`write_atomically` for several files that belong together: they appear only when the last one is complete.

    Yields:
        One temporary path for each of `paths`, in the same order.

    Raises:
        InputError: as for `write_atomically`; none of the files has changed then, unless a rename itself failed.
        RuntimeError: the body left one of the files out.
    """
    with ExitStack() as stack:
        temporaries = tuple(stack.enter_context(write_atomically(path)) for path in paths)
        yield temporaries
        for temporary, path in zip(temporaries, paths, strict=True):
            if not temporary.is_file():
                raise RuntimeError(f"nothing was written to the temporary file of {path}")


@contextmanager
def output_folder(path: Path | str) -> Iterator[Path]:
    """Fill an output folder completely or leave it as it was.

    The files written into the yielded folder move to `path` when the body ends without an error: same-named files are
    replaced, all other files of `path` stay. After an error, `path` holds exactly what it held before; folders that
    were created for it are removed.

    Args:
        path: the folder the user asked for; need not exist.

    Yields:
        An empty folder on the same disk to write into; subfolders are allowed.

    Raises:
        InputError: the disk refused (full, read-only, no permission, a file in the way).
    """
    path = Path(path)
    target = Path(os.path.realpath(path))
    with _created_parents(path, target.parent):
        if target.exists() and not target.is_dir():
            raise InputError(f"cannot write into {path}: it is a file, not a folder")
        # Inside an existing folder, not beside it: the folder may be a mount point whose parent is another disk.
        name = f".{uuid.uuid4().hex[:8]}-partial"
        work = target / name if target.is_dir() else target.with_name(f"{name}-{target.name}")
        staged = work / "new"
        try:
            staged.mkdir(parents=True)
            yield staged
            for file in staged.rglob("*"):
                if file.is_file():
                    _flush(file)
            _install(staged, target, work / "old")
        except OSError as error:
            if _concerns(error, work) or _concerns(error, target):
                raise disk_error(path, error) from error
            raise
        finally:
            shutil.rmtree(work, ignore_errors=True)


@contextmanager
def _created_parents(path: Path, folder: Path) -> Iterator[None]:
    """Create `folder` and what is missing above it; remove what was created if the body fails."""
    missing = []
    while not os.path.lexists(folder):
        missing.append(folder)
        folder = folder.parent
    if not folder.is_dir():
        raise InputError(f"cannot write {path}: {folder} is a file, not a folder")
    created: list[Path] = []
    try:
        for folder in reversed(missing):
            try:
                folder.mkdir()
                created.append(folder)
            except FileExistsError:  # a parallel run has made it meanwhile
                continue
            except OSError as error:
                raise disk_error(path, error) from error
        yield
    except BaseException:
        for folder in reversed(created):
            try:
                folder.rmdir()
            except OSError:  # a parallel run has put something there: it is no longer ours to remove
                break
        raise


def _install(staged: Path, target: Path, old: Path) -> None:
    """Move every file of `staged` into `target`, keeping replaced ones in `old` until all have moved."""
    if not target.exists():
        staged.replace(target)
        return
    placed: list[tuple[Path, Path | None]] = []
    folders: list[Path] = []
    try:
        for source in sorted(staged.rglob("*")):
            relative = source.relative_to(staged)
            final = target / relative
            if source.is_dir():
                if not final.is_dir():
                    final.mkdir()
                    folders.append(final)
                continue
            saved: Path | None = None
            if final.is_dir():
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(final))
            if final.exists() or final.is_symlink():
                saved = old / relative
                saved.parent.mkdir(parents=True, exist_ok=True)
                final.replace(saved)
                placed.append((final, saved))
                source.replace(final)
            else:
                source.replace(final)
                placed.append((final, None))
    except BaseException:
        for final, saved in reversed(placed):
            if saved is None:
                final.unlink()
            else:
                saved.replace(final)
        for folder in reversed(folders):
            folder.rmdir()
        raise


def _flush(path: Path) -> None:
    """Force a file to the disk, so that a full disk or quota shows before the old file is replaced."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def _concerns(error: OSError, path: Path) -> bool:
    """Whether `error` is about writing `path`, not about another file (an input that is missing, say)."""
    if not isinstance(error.filename, str | os.PathLike):
        return True
    failed = Path(os.path.realpath(error.filename))
    return failed.is_relative_to(path)
