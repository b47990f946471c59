"""Embeddings on disk: found again number by number, or encoded again, but never wrong and never in the way."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import shutil
import signal
import stat
import struct
import time
from pathlib import Path

import numpy as np
import pytest
from prompt_backends import DiscBackend
from SparseCardiacSegLib.errors import InputError
from SparseCardiacSegLib.prompting import embedding_cache
from SparseCardiacSegLib.prompting.backend import Embedding
from SparseCardiacSegLib.prompting.embedding_cache import EmbeddingCache, cache_folder, embedding_key
from SparseCardiacSegLib.prompting.embedding_file import NotAnEmbedding, embedding_bytes, read_embedding
from SparseCardiacSegLib.prompting.embedding_store import EmbeddingStore

SPAWN = multiprocessing.get_context("spawn")


def slice_number(number: int, shape=(20, 31)) -> np.ndarray:
    return np.random.default_rng(number).integers(0, 256, shape, np.uint8)


def key_of(number: int) -> str:
    return embedding_key(slice_number(number), "model")


def embedding_of(number: int, numbers: int = 2000) -> Embedding:
    """Features that belong to this slice alone."""
    features = np.random.default_rng(number).standard_normal((2, 10, numbers // 20)).astype(np.float16)
    return Embedding(features, (20, 31), (165, 256))


FILE_BYTES = len(embedding_bytes(embedding_of(0), key_of(0)))


def assert_same(found: Embedding | None, expected: Embedding) -> None:
    assert found is not None
    assert found.features.dtype == np.float16
    np.testing.assert_array_equal(found.features, expected.features)
    assert (found.original_size, found.input_size) == (expected.original_size, expected.input_size)


def path_of(cache: EmbeddingCache, number: int) -> Path:
    return cache.folder / f"{key_of(number)}.embedding"


def use_at(cache: EmbeddingCache, number: int, seconds_ago: float) -> None:
    when = time.time() - seconds_ago
    os.utime(path_of(cache, number), (when, when))


@pytest.fixture
def cache(tmp_path):
    return EmbeddingCache(tmp_path / "cache")


def test_what_was_put_is_found_again_number_by_number(cache):
    cache.put(key_of(1), embedding_of(1))
    assert cache.has(key_of(1))
    assert_same(cache.get(key_of(1)), embedding_of(1))
    assert not cache.has(key_of(2))
    assert cache.get(key_of(2)) is None


def test_the_key_tells_pixels_shape_model_and_preprocessing_apart(monkeypatch):
    image = slice_number(1, (20, 30))
    changed = image.copy()
    changed[7, 7] ^= 1
    keys = [
        embedding_key(image, "model"),
        embedding_key(changed, "model"),
        embedding_key(image.reshape(30, 20), "model"),
        embedding_key(image, "other"),
    ]
    monkeypatch.setattr(embedding_cache, "PREPROCESSING_VERSION", 99)
    keys.append(embedding_key(image, "model"))
    assert len(set(keys)) == 5
    assert all(len(key) == 64 for key in keys)


def test_the_key_is_of_the_content_not_of_how_it_lies_in_memory():
    image = slice_number(1, (20, 30))
    assert embedding_key(np.asfortranarray(image), "m") == embedding_key(image, "m")
    assert embedding_key(np.repeat(image, 2, 1)[:, ::2], "m") == embedding_key(image, "m")


def test_only_slices_of_8_bit_pixels_have_a_key():
    with pytest.raises(InputError, match=r"must be uint8"):
        embedding_key(slice_number(1).astype(np.float32), "m")


def test_a_file_is_its_numbers_and_little_more(cache):
    cache.put(key_of(1), embedding_of(1))
    assert embedding_of(1).features.nbytes < path_of(cache, 1).stat().st_size < embedding_of(1).features.nbytes + 128


def test_every_single_flipped_bit_is_noticed(tmp_path):
    embedding = Embedding(np.ones((1, 2, 3), np.float16), (20, 31), (165, 256))
    content = embedding_bytes(embedding, key_of(1))
    path = tmp_path / "file"
    for position in range(len(content)):
        damaged = bytearray(content)
        damaged[position] ^= 1 << (position % 8)
        path.write_bytes(damaged)
        with pytest.raises(NotAnEmbedding):
            read_embedding(path, key_of(1))


@pytest.mark.parametrize("length", [0, 1, 60, 67, 68, 2000, FILE_BYTES - 1, FILE_BYTES + 1])
def test_a_file_of_the_wrong_length_is_removed_and_made_anew(cache, length):
    cache.put(key_of(1), embedding_of(1))
    path = path_of(cache, 1)
    path.write_bytes((path.read_bytes() + b"\0")[:length])
    assert cache.get(key_of(1)) is None
    assert not path.exists()
    cache.put(key_of(1), embedding_of(1))
    assert_same(cache.get(key_of(1)), embedding_of(1))


def test_a_file_under_another_slices_name_is_refused(cache):
    cache.put(key_of(1), embedding_of(1))
    path_of(cache, 1).rename(path_of(cache, 2))
    assert cache.get(key_of(2)) is None


def test_a_header_that_claims_terabytes_takes_no_memory(cache):
    cache.put(key_of(1), embedding_of(1))
    content = bytearray(path_of(cache, 1).read_bytes())
    content[40:52] = struct.pack("<3I", *[2**32 - 1] * 3)
    path_of(cache, 1).write_bytes(content)
    assert cache.get(key_of(1)) is None


class Bomb:
    """Tells on whoever unpickles it."""

    def __reduce__(self):
        return os.mkdir, ("unpickled",)


def test_a_pickle_in_the_folder_is_removed_and_not_run(cache, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    cache.folder.mkdir()
    path_of(cache, 1).write_bytes(pickle.dumps(Bomb()))
    assert cache.get(key_of(1)) is None
    assert not Path("unpickled").exists()
    assert not path_of(cache, 1).exists()


def test_a_folder_or_a_pipe_of_that_name_is_no_embedding(cache):
    path_of(cache, 1).mkdir(parents=True)
    assert cache.get(key_of(1)) is None
    if hasattr(os, "mkfifo"):
        os.mkfifo(path_of(cache, 2))
        assert cache.get(key_of(2)) is None
        assert not cache.has(key_of(2))


def test_those_used_longest_ago_make_room_for_new_ones(tmp_path):
    cache = EmbeddingCache(tmp_path, max_bytes=5 * FILE_BYTES)
    for number in range(5):
        cache.put(key_of(number), embedding_of(number))
        use_at(cache, number, seconds_ago=100 - number)
    assert cache.get(key_of(0)) is not None  # the oldest one is used again
    cache.put(key_of(5), embedding_of(5))
    assert [number for number in range(6) if cache.has(key_of(number))] == [0, 3, 4, 5]
    assert cache.size() == 4 * FILE_BYTES


def test_the_limit_holds_over_many_writes(tmp_path):
    cache = EmbeddingCache(tmp_path, max_bytes=7 * FILE_BYTES)
    for number in range(40):
        cache.put(key_of(number), embedding_of(number))
        assert cache.size() <= 7 * FILE_BYTES
    assert cache.size() >= 4 * FILE_BYTES
    assert cache.has(key_of(39))


def test_the_limit_holds_for_what_earlier_processes_left(tmp_path):
    for number in range(10):
        EmbeddingCache(tmp_path).put(key_of(number), embedding_of(number))
        use_at(EmbeddingCache(tmp_path), number, seconds_ago=100 - number)
    EmbeddingCache(tmp_path, max_bytes=4 * FILE_BYTES).put(key_of(10), embedding_of(10))
    assert [number for number in range(11) if (tmp_path / f"{key_of(number)}.embedding").exists()] == [8, 9, 10]


def test_an_embedding_larger_than_the_limit_is_not_kept_and_evicts_nothing(tmp_path):
    cache = EmbeddingCache(tmp_path, max_bytes=2 * FILE_BYTES)
    cache.put(key_of(1), embedding_of(1))
    cache.put(key_of(2), embedding_of(2, numbers=40000))
    assert cache.has(key_of(1))
    assert not cache.has(key_of(2))
    assert cache.problem == ""


def test_the_folder_is_not_listed_at_every_write(tmp_path, monkeypatch):
    listings = []
    listed = EmbeddingCache._listed
    monkeypatch.setattr(EmbeddingCache, "_listed", lambda self: listings.append(1) or listed(self))
    cache = EmbeddingCache(tmp_path, max_bytes=1000 * FILE_BYTES)
    for number in range(100):
        cache.put(key_of(number), embedding_of(number))
        cache.get(key_of(number))
        cache.has(key_of(number))
    assert len(listings) == 1


def test_files_of_others_are_never_counted_or_removed(tmp_path):
    strangers = [
        tmp_path / "thesis.docx",
        tmp_path / ".hidden",
        tmp_path / f"{'g' * 64}.embedding",
        tmp_path / "a.partial",
    ]
    for stranger in strangers:
        stranger.write_bytes(b"x" * 10 * FILE_BYTES)
    cache = EmbeddingCache(tmp_path, max_bytes=2 * FILE_BYTES)
    for number in range(5):
        cache.put(key_of(number), embedding_of(number))
    assert cache.has(key_of(4))
    assert cache.size() <= 2 * FILE_BYTES
    cache.clear()
    assert cache.size() == 0
    assert all(stranger.stat().st_size == 10 * FILE_BYTES for stranger in strangers)


def test_clearing_frees_everything_and_says_how_much(cache):
    for number in range(3):
        cache.put(key_of(number), embedding_of(number))
    assert cache.size() == 3 * FILE_BYTES
    assert cache.clear() == 3 * FILE_BYTES
    assert cache.size() == 0
    assert cache.get(key_of(0)) is None
    cache.put(key_of(0), embedding_of(0))
    assert_same(cache.get(key_of(0)), embedding_of(0))


def test_a_folder_that_is_removed_meanwhile_is_made_again(cache):
    cache.put(key_of(1), embedding_of(1))
    shutil.rmtree(cache.folder)
    cache.put(key_of(2), embedding_of(2))
    assert_same(cache.get(key_of(2)), embedding_of(2))
    assert cache.problem == ""


def test_a_cache_that_was_never_used_is_empty(cache):
    assert (cache.size(), cache.clear()) == (0, 0)
    assert not cache.folder.exists()


def test_what_a_crash_left_is_removed_after_some_minutes(tmp_path):
    old, young = (tmp_path / f".{letter * 32}.partial" for letter in "ab")
    for path in (old, young):
        path.write_bytes(b"half an embedding")
    then = time.time() - 3600
    os.utime(old, (then, then))
    EmbeddingCache(tmp_path).put(key_of(1), embedding_of(1))
    assert not old.exists()
    assert young.exists()


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such permissions")
def test_only_the_user_can_read_the_folder_and_its_files(cache):
    cache.put(key_of(1), embedding_of(1))
    assert stat.S_IMODE(cache.folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(path_of(cache, 1).stat().st_mode) == 0o600


def test_a_full_disk_is_told_once_and_then_left_alone(cache, monkeypatch):
    cache.put(key_of(1), embedding_of(1))
    attempts = []

    def full(*arguments):
        attempts.append(arguments)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(cache, "_write", full)
    cache.put(key_of(2), embedding_of(2))
    assert "the disk is full" in cache.problem
    cache.put(key_of(3), embedding_of(3))
    assert len(attempts) == 1
    assert_same(cache.get(key_of(1)), embedding_of(1))


def test_a_disk_that_fills_up_in_mid_write_leaves_nothing_behind(cache, monkeypatch):
    cache.put(key_of(1), embedding_of(1))

    def full(descriptor, *_):
        os.close(descriptor)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fdopen", full)
    cache.put(key_of(2), embedding_of(2))
    assert list(cache.folder.iterdir()) == [path_of(cache, 1)]


def test_a_file_in_the_place_of_the_folder_is_told_and_prompting_goes_on(tmp_path):
    (tmp_path / "cache").write_text("not a folder")
    store = EmbeddingStore(DiscBackend(), EmbeddingCache(tmp_path / "cache"))
    assert [store.get(slice_number(n))[1] for n in (1, 2, 1)] == ["encoder", "encoder", "memory"]
    (warning,) = store.warnings
    assert warning.startswith("embeddings are not kept on disk: cannot write")
    assert (tmp_path / "cache").read_text() == "not a folder"


def test_the_folder_is_the_one_of_the_variable_else_the_platforms(monkeypatch, tmp_path):
    monkeypatch.setenv("SPARSECARDIACSEG_CACHE", str(tmp_path / "mine"))
    assert cache_folder() == tmp_path / "mine" / "embeddings"
    assert EmbeddingCache().folder == cache_folder()
    monkeypatch.delenv("SPARSECARDIACSEG_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    for platform, part in [("linux", "xdg"), ("darwin", "Caches"), ("win32", "SparseCardiacSeg")]:
        monkeypatch.setattr(embedding_cache.sys, "platform", platform)
        assert part in cache_folder().parts
        assert cache_folder().name == "embeddings"


def hammer(folder: str, seed: int, rounds: int, failures: multiprocessing.Queue) -> None:
    """Write, read and evict at random; tell of any embedding that is not its slice's."""
    rng = np.random.default_rng(seed)
    cache = EmbeddingCache(folder, max_bytes=6 * FILE_BYTES)
    hits = 0
    for _ in range(rounds):
        number = int(rng.integers(0, 12))
        found = cache.get(key_of(number))
        if found is None:
            cache.put(key_of(number), embedding_of(number))
        elif np.array_equal(found.features, embedding_of(number).features):
            hits += 1
        else:
            failures.put(f"a wrong embedding of slice {number}")
    if hits == 0 or cache.problem:
        failures.put(f"{hits} hits, {cache.problem}")


def test_two_processes_may_write_read_and_evict_in_one_folder(tmp_path):
    failures = SPAWN.Queue()
    processes = [SPAWN.Process(target=hammer, args=(str(tmp_path), seed, 400, failures)) for seed in (1, 2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
    assert [process.exitcode for process in processes] == [0, 0]
    assert failures.empty()
    cache = EmbeddingCache(tmp_path, max_bytes=6 * FILE_BYTES)
    assert cache.size() <= 8 * FILE_BYTES
    assert not list(tmp_path.glob("*.partial"))
    cache.put(key_of(50), embedding_of(50))
    assert cache.size() <= 6 * FILE_BYTES


def die_before_the_name_is_given(folder: str) -> None:
    Path.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
    EmbeddingCache(folder).put(key_of(1), embedding_of(1))


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="there is no SIGKILL on Windows")
def test_a_file_without_its_name_is_not_read_and_goes_away(tmp_path):
    process = SPAWN.Process(target=die_before_the_name_is_given, args=(str(tmp_path),))
    process.start()
    process.join()
    (left,) = tmp_path.iterdir()
    assert process.exitcode == -signal.SIGKILL
    cache = EmbeddingCache(tmp_path)
    assert cache.get(key_of(1)) is None
    then = time.time() - 3600
    os.utime(left, (then, then))
    cache.put(key_of(1), embedding_of(1))
    assert list(tmp_path.iterdir()) == [path_of(cache, 1)]


def write_for_ever(folder: str) -> None:
    cache = EmbeddingCache(folder)
    while True:
        for number in range(10):
            cache.put(key_of(number), embedding_of(number, numbers=400_000))


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="there is no SIGKILL on Windows")
def test_a_process_killed_in_mid_write_leaves_no_wrong_embedding(tmp_path):
    for pause in (0.0, 0.003, 0.011):
        process = SPAWN.Process(target=write_for_ever, args=(str(tmp_path),))
        process.start()
        deadline = time.monotonic() + 60
        while not list(tmp_path.glob("*.embedding")) and time.monotonic() < deadline:
            time.sleep(0.001)
        time.sleep(pause)
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        cache = EmbeddingCache(tmp_path)
        present = [number for number in range(10) if cache.has(key_of(number))]
        assert present
        for number in present:
            assert_same(cache.get(key_of(number)), embedding_of(number, numbers=400_000))
        cache.clear()
        assert list(tmp_path.iterdir()) == []


def test_a_slice_is_encoded_once_in_its_life(tmp_path):
    first, second = DiscBackend(), DiscBackend()
    fresh, _ = EmbeddingStore(first, EmbeddingCache(tmp_path)).get(slice_number(1))
    store = EmbeddingStore(second, EmbeddingCache(tmp_path))
    assert store.has(slice_number(1))
    stored, origin = store.get(slice_number(1))
    assert (first.encoded, second.encoded, origin) == (1, 0, "disk")
    assert_same(stored, fresh)


def test_another_models_embedding_is_not_taken(tmp_path):
    EmbeddingStore(DiscBackend(model_id="a" * 64), EmbeddingCache(tmp_path)).get(slice_number(1))
    other = EmbeddingStore(DiscBackend(model_id="b" * 64), EmbeddingCache(tmp_path))
    assert not other.has(slice_number(1))
    assert other.get(slice_number(1))[1] == "encoder"


def test_a_damaged_embedding_is_encoded_again_and_replaced(tmp_path):
    EmbeddingStore(DiscBackend(), EmbeddingCache(tmp_path)).get(slice_number(1))
    (file,) = tmp_path.iterdir()
    file.write_bytes(file.read_bytes()[:-7])
    assert EmbeddingStore(DiscBackend(), EmbeddingCache(tmp_path)).get(slice_number(1))[1] == "encoder"
    assert EmbeddingStore(DiscBackend(), EmbeddingCache(tmp_path)).get(slice_number(1))[1] == "disk"


def test_memory_keeps_what_was_used_last_up_to_its_limit():
    backend = DiscBackend()
    one = backend.encode(slice_number(0)).features.nbytes
    store = EmbeddingStore(backend, None, memory_bytes=3 * one)
    for number in (1, 2, 3, 1, 4):
        store.get(slice_number(number))
    assert [number for number in range(1, 5) if store.has(slice_number(number))] == [1, 3, 4]


def test_the_slice_shown_stays_in_memory_however_small_the_limit():
    store = EmbeddingStore(DiscBackend(), None, memory_bytes=0)
    assert [store.get(slice_number(n))[1] for n in (1, 1, 2, 1)] == ["encoder", "memory", "encoder", "encoder"]


def test_memory_can_be_given_back():
    store = EmbeddingStore(DiscBackend())
    store.get(slice_number(1))
    store.forget()
    assert not store.has(slice_number(1))
    assert store.get(slice_number(1))[1] == "encoder"


def test_nobody_can_change_an_embedding_that_is_kept(tmp_path):
    for _ in range(2):
        embedding, _ = EmbeddingStore(DiscBackend(), EmbeddingCache(tmp_path)).get(slice_number(1))
        with pytest.raises(ValueError, match="read-only"):
            embedding.features[:] = 0
