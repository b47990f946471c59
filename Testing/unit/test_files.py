from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from SparseCardiacSegLib.errors import InputError
from SparseCardiacSegLib.files import output_folder, write_all_atomically, write_atomically
from SparseCardiacSegLib.progress import Cancelled


def names(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def full_disk(*_: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_file_appears_only_when_it_is_complete(tmp_path):
    path = tmp_path / "new" / "folder" / "case.nii.gz"
    with write_atomically(path) as temporary:
        temporary.write_text("content")
        assert temporary.parent == path.parent
        assert temporary.name.endswith("case.nii.gz")
        assert not path.exists()
    assert path.read_text() == "content"
    assert names(path.parent) == ["case.nii.gz"]


def write_half(path: Path, failure: type[BaseException] | OSError) -> None:
    with write_atomically(path) as temporary:
        temporary.write_text("half")
        raise failure


def fill(target: Path, files: dict[str, str], failure: type[BaseException] | None = None) -> None:
    with output_folder(target) as folder:
        for name, content in files.items():
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_text(content)
        if failure:
            raise failure


@pytest.mark.parametrize("failure", [ValueError, Cancelled, KeyboardInterrupt])
def test_a_failure_leaves_the_old_file_and_no_temporary(tmp_path, failure):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(failure):
        write_half(path, failure)
    assert path.read_text() == "old"
    assert names(tmp_path) == ["a.txt"]


def test_folders_made_for_a_file_that_failed_are_removed(tmp_path):
    with pytest.raises(ValueError, match="no"), write_atomically(tmp_path / "a" / "b" / "c.txt"):
        raise ValueError("no")
    assert names(tmp_path) == []


def test_a_full_disk_is_one_sentence_naming_the_file(tmp_path):
    path = tmp_path / "a.txt"
    with pytest.raises(InputError, match=r"cannot write .*a\.txt: the disk is full"):
        write_half(path, OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))
    assert names(tmp_path) == []


def test_a_disk_that_fills_up_only_on_flush_keeps_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "a.txt"
    path.write_text("old")
    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(InputError, match="the disk is full"), write_atomically(path) as temporary:
        temporary.write_text("new")
    assert path.read_text() == "old"


def test_a_file_in_the_way_of_a_folder_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="file is a file, not a folder"), write_atomically(tmp_path / "file" / "a.txt"):
        pass
    with pytest.raises(InputError, match="it exists and is not a file"), write_atomically(tmp_path):
        pass


def test_a_missing_input_inside_the_body_is_not_called_a_write_error(tmp_path):
    with pytest.raises(FileNotFoundError), write_atomically(tmp_path / "a.txt"):
        (tmp_path / "no such input").read_text()


def test_writing_nothing_is_a_programming_fault(tmp_path):
    with pytest.raises(RuntimeError, match="nothing was written"), write_atomically(tmp_path / "a.txt"):
        pass


def test_a_link_is_followed_and_stays_a_link(tmp_path):
    (tmp_path / "real.txt").write_text("old")
    (tmp_path / "link.txt").symlink_to(tmp_path / "real.txt")
    with write_atomically(tmp_path / "link.txt") as temporary:
        temporary.write_text("new")
    assert (tmp_path / "link.txt").is_symlink()
    assert (tmp_path / "real.txt").read_text() == "new"


def test_files_that_belong_together_appear_together_or_not_at_all(tmp_path):
    paths = [tmp_path / "a.txt", tmp_path / "b.txt"]
    with pytest.raises(RuntimeError), write_all_atomically(*paths) as (first, _second):
        first.write_text("only one of two")
    assert names(tmp_path) == []
    with write_all_atomically(*paths) as temporaries:
        for temporary in temporaries:
            temporary.write_text("both")
    assert names(tmp_path) == ["a.txt", "b.txt"]


def test_an_output_folder_appears_when_it_is_complete(tmp_path):
    target = tmp_path / "deep" / "out"
    with output_folder(target) as folder:
        (folder / "sub").mkdir()
        (folder / "sub" / "a.txt").write_text("a")
        (folder / "b.txt").write_text("b")
        assert not target.exists()
    assert names(tmp_path / "deep") == ["out", "out/b.txt", "out/sub", "out/sub/a.txt"]


def test_an_output_folder_replaces_its_own_files_and_leaves_the_users(tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    (tmp_path / "result.txt").write_text("old")
    with output_folder(tmp_path) as folder:
        (folder / "result.txt").write_text("new")
    assert names(tmp_path) == ["mine.txt", "result.txt"]
    assert (tmp_path / "result.txt").read_text() == "new"
    assert (tmp_path / "mine.txt").read_text() == "mine"


@pytest.mark.parametrize("existing", [False, True])
def test_a_failed_output_folder_leaves_everything_as_it_was(tmp_path, existing):
    target = tmp_path / "a" / "out"
    if existing:
        target.mkdir(parents=True)
        (target / "result.txt").write_text("old")
    before = names(tmp_path)
    with pytest.raises(Cancelled):
        fill(target, {"result.txt": "half"}, Cancelled)
    assert names(tmp_path) == before


def test_a_move_that_fails_half_way_is_undone(tmp_path):
    (tmp_path / "a.txt").write_text("old a")
    (tmp_path / "z.txt").mkdir()
    with pytest.raises(InputError, match="a folder of that name is in the way"):
        fill(tmp_path, dict.fromkeys(("a.txt", "b.txt", "sub/c.txt", "z.txt"), "new"))
    assert names(tmp_path) == ["a.txt", "z.txt"]
    assert (tmp_path / "a.txt").read_text() == "old a"


def test_a_file_given_as_output_folder_is_refused(tmp_path):
    (tmp_path / "out").write_text("a file")
    with pytest.raises(InputError, match="it is a file, not a folder"), output_folder(tmp_path / "out"):
        pass
    assert (tmp_path / "out").read_text() == "a file"
