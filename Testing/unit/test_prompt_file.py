"""The prompts file: what is read, what is refused and how it is said, and what is written."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from SparseCardiacSegLib.anatomy import Structure
from SparseCardiacSegLib.errors import InputError
from SparseCardiacSegLib.prompting.prompt_file import prompts_from_json, prompts_to_json, read_prompts, write_prompts
from SparseCardiacSegLib.prompting.prompts import Prompt, PromptSet

ENTRY = {
    "frame": 2,
    "slice": 4,
    "structure": "LV",
    "positive": [[12, 30], [13.5, 31]],
    "negative": [[1, 2]],
    "box": [5, 6, 20, 40],
}


def one(**changes):
    """The content of a file with one entry; a change to `...` takes the field out."""
    entry = {name: value for name, value in {**ENTRY, **changes}.items() if value is not ...}
    return {"prompts": [entry]}


def refusal(data) -> str:
    with pytest.raises(InputError) as refused:
        prompts_from_json(data, "clicks.json")
    message = str(refused.value)
    assert message.startswith("clicks.json")
    assert "\n" not in message
    assert len(message) < 220
    return message


def test_every_field_of_an_entry_is_read():
    (prompt,) = prompts_from_json(one())
    assert prompt == Prompt(4, Structure.LV, ((12, 30), (13.5, 31)), ((1, 2),), (5, 6, 20, 40), frame=2)


@pytest.mark.parametrize("gone", [..., None])
def test_points_and_box_may_be_missing_or_null_and_a_missing_frame_is_the_first(gone):
    (prompt,) = prompts_from_json(one(frame=gone, positive=gone, negative=gone))
    assert prompt == Prompt(4, Structure.LV, box=(5, 6, 20, 40))
    (prompt,) = prompts_from_json(one(box=gone))
    assert prompt.box is None
    assert len(prompt.positive) == 2


def test_fields_that_others_add_are_ignored():
    data = one(colour="red", score=float("nan"))
    data["made_with"] = {"program": "x"}
    assert prompts_from_json(data) == prompts_from_json(one())


@pytest.mark.parametrize("name", ["lv", "Lv", " LV "])
def test_structure_names_are_read_in_any_case(name):
    assert next(iter(prompts_from_json(one(structure=name)))).structure is Structure.LV


def test_whole_numbers_written_as_decimals_count_as_whole():
    (prompt,) = prompts_from_json(one(slice=4.0, frame=2.0))
    assert prompt.key == (2, 4, Structure.LV)
    assert isinstance(prompt.slice, int)


def test_a_file_without_prompts_is_an_empty_set(tmp_path):
    write_prompts(PromptSet(), tmp_path / "none.json")
    assert json.loads((tmp_path / "none.json").read_text()) == {"prompts": []}
    assert len(read_prompts(tmp_path / "none.json")) == 0


@pytest.mark.parametrize("data", [[], {}, None, 3, {"prompts": None}, {"prompts": {}}, {"prompt": []}, [ENTRY]])
def test_a_json_file_of_something_else_is_no_prompts_file(data):
    assert refusal(data) == 'clicks.json is no prompts file: an object with a list "prompts" is needed'


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"structure": ...}, "prompts[0] names no structure; known are RV, MYO, LV, LA"),
        ({"structure": 3}, "prompts[0] has a number as structure"),
        ({"structure": "aorta"}, "prompts[0] names the unknown structure 'aorta'"),
        ({"slice": ...}, "prompts[0] has no slice"),
        ({"slice": "4"}, "slice is the text '4'; a whole number is needed"),
        ({"slice": True}, "slice is true or false"),
        ({"slice": 1.5}, "slice is 1.5; a whole number from 0 is needed"),
        ({"slice": -1}, "slice is -1"),
        ({"slice": float("nan")}, "slice is nan"),
        ({"slice": float("inf")}, "slice is inf"),
        ({"slice": 10**400}, "slice is a number far too large"),
        ({"frame": False}, "frame is true or false"),
        ({"frame": [0]}, "frame is a list"),
        ({"positive": {}}, "(LV on slice 4): positive is an object; a list of points [[col, row], ...] is needed"),
        ({"positive": [12, 30]}, "positive[0] is a number; two numbers [col, row] are needed"),
        ({"positive": [[12, 30], [1, 2, 3]]}, "positive[1] has 3 elements; two numbers [col, row] are needed"),
        ({"negative": [["1", 2]]}, "negative[0] holds the text '1'"),
        ({"negative": [[1, None]]}, "negative[0] holds null"),
        ({"negative": [[True, 2]]}, "negative[0] holds true or false"),
        ({"positive": [[float("nan"), 2]]}, "positive[0] holds nan"),
        ({"positive": [[1, float("-inf")]]}, "positive[0] holds -inf"),
        ({"positive": [[1, -(10**400)]]}, "positive[0] holds a number far too large"),
        ({"box": [1, 2, 3]}, "box has 3 elements; four numbers [col0, row0, col1, row1] are needed"),
        ({"box": [[1, 2], [3, 4]]}, "box has 2 elements"),
        ({"box": "1 2 3 4"}, "box is the text '1 2 3 4'"),
        ({"box": [1, 2, float("nan"), 4]}, "box holds nan"),
        ({"box": [1, 2, False, 4]}, "box holds true or false"),
    ],
)
def test_a_wrong_value_is_refused_with_the_entry_and_what_is_needed(changes, said):
    assert said in refusal(one(**changes))


def test_an_entry_that_is_no_object_is_named_by_its_place():
    assert "prompts[1] is a list" in refusal({"prompts": [ENTRY, [1, 2]]})


def test_two_entries_for_one_structure_on_one_slice_are_both_named():
    other = {**ENTRY, "slice": 5}
    message = refusal({"prompts": [ENTRY, other, {**ENTRY, "structure": "lv", "box": None}]})
    assert message == "clicks.json: prompts[0] and prompts[2] are both a prompt for LV on slice 4 of frame 2"


@pytest.mark.parametrize(
    "content", [b"", b"not json", b'{"prompts": [{"slice": 4, "struct', b"\xff\xfe\x00", b"[" * 100_000]
)
def test_a_damaged_file_is_refused_with_its_name(tmp_path, content):
    path = tmp_path / "clicks.json"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"clicks\.json is damaged or no JSON file"):
        read_prompts(path)


def test_every_truncation_of_a_real_file_is_refused(tmp_path):
    path = tmp_path / "clicks.json"
    write_prompts(prompts_from_json(one()), path)
    whole = path.read_bytes().rstrip()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(InputError, match=r"clicks\.json"):
            read_prompts(path)


def test_a_missing_file_and_a_folder_are_named(tmp_path):
    with pytest.raises(InputError, match=r"gone\.json does not exist"):
        read_prompts(tmp_path / "gone.json")
    with pytest.raises(InputError, match="cannot be read"):
        read_prompts(tmp_path)


def test_a_huge_file_is_refused_before_it_is_read(tmp_path):
    path = tmp_path / "huge.json"
    with path.open("wb") as file:
        file.truncate(2 * 1024**3)
    with pytest.raises(InputError, match=r"huge\.json is larger than 32 MB"):
        read_prompts(path)


def test_a_file_with_a_byte_order_mark_is_read(tmp_path):
    path = tmp_path / "bom.json"
    path.write_text(json.dumps(one()), encoding="utf-8-sig")
    assert read_prompts(path) == prompts_from_json(one())


def test_whole_numbers_are_written_as_integers_and_others_as_they_are():
    prompt = Prompt(4, Structure.LV, ((12.0, 30.25), (-0.0, 7.0)), box=(5.0, 6.0, 20.5, 40.0))
    text = json.dumps(prompts_to_json(PromptSet((prompt,))))
    assert text == (
        '{"prompts": [{"frame": 0, "slice": 4, "structure": "LV", "positive": [[12, 30.25], [0, 7]], "negative": [], '
        '"box": [5, 6, 20.5, 40]}]}'
    )


def test_a_prompt_without_a_box_has_no_such_field():
    (entry,) = prompts_to_json(PromptSet((Prompt(0, Structure.MYO, ((1, 2),)),)))["prompts"]
    assert entry == {"frame": 0, "slice": 0, "structure": "MYO", "positive": [[1, 2]], "negative": []}


def test_numbers_of_numpy_are_written_like_any_other(tmp_path):
    point, box = tuple(np.array([3, 4.5], np.float32)), tuple(np.arange(4))
    prompt = Prompt(np.int64(1), Structure.RV, (point,), box=box, frame=np.int32(2))
    write_prompts(PromptSet((prompt,)), tmp_path / "p.json")
    assert read_prompts(tmp_path / "p.json") == PromptSet((Prompt(1, Structure.RV, ((3, 4.5),), (), (0, 1, 2, 3), 2),))


def test_a_number_that_is_not_finite_is_not_written_and_the_old_file_stays(tmp_path):
    path = tmp_path / "p.json"
    write_prompts(prompts_from_json(one()), path)
    before = path.read_bytes()
    with pytest.raises(InputError, match="prompt for LV on slice 1 of frame 0 holds a number that is not finite"):
        write_prompts(PromptSet((Prompt(1, Structure.LV, ((float("nan"), 2),)),)), path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_in_the_way_is_said_and_kept(tmp_path):
    (tmp_path / "p.json").mkdir()
    with pytest.raises(InputError, match=r"cannot write .*p\.json"):
        write_prompts(PromptSet(), tmp_path / "p.json")
    assert (tmp_path / "p.json").is_dir()


numbers = st.floats(-1e6, 1e6, allow_nan=False) | st.integers(-5, 600).map(float)
points = st.lists(st.tuples(numbers, numbers), max_size=4).map(tuple)
prompts = st.builds(
    Prompt,
    slice=st.integers(0, 30),
    structure=st.sampled_from(Structure),
    positive=points,
    negative=points,
    box=st.none() | st.tuples(numbers, numbers, numbers, numbers),
    frame=st.integers(0, 30),
)


@given(st.lists(prompts, max_size=6, unique_by=lambda prompt: prompt.key))
def test_what_is_written_is_read_back_the_same(listed):
    prompt_set = PromptSet(tuple(listed))
    text = json.dumps(prompts_to_json(prompt_set), allow_nan=False)
    assert prompts_from_json(json.loads(text)) == prompt_set
