"""What the content policy lets leave: redacted once, encodable, within its budgets."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lc_otel._content import (
    REDACTION_FAILED,
    Content,
    ContentPolicy,
    clean_attributes,
    clean_text,
    cut,
    fit,
)


def capture(value: Any, **policy: Any) -> Any:
    """What is captured of one piece."""
    return Content(ContentPolicy(**policy)).capture("input", value)


def test_a_piece_within_its_budget_is_told_whole() -> None:
    """Nothing is changed that need not be."""
    value = {"a": [1, 2.5, None, True, "é"], "b": {}}
    piece = capture(value)
    assert piece.value == value
    assert json.loads(piece.json) == value


def test_a_text_is_told_as_it_is_and_the_rest_as_json() -> None:
    """A reader of a backend wants words, not quotes."""
    assert capture("hi").text == "hi"
    assert capture(["hi"]).text == '["hi"]'


def test_a_long_text_is_cut_and_says_how_long_it_was() -> None:
    """The marker gives the size in bytes, not in characters."""
    piece = capture("é" * 1000, max_attribute=300)
    assert piece.value.startswith("ééé")
    assert piece.value.endswith("… [2000 bytes]")
    assert len(piece.json.encode()) <= 300


def test_a_text_that_json_makes_long_is_cut_too() -> None:
    """A control character takes six bytes in JSON, which the budget is about."""
    piece = capture("\x00" * 100, max_attribute=300)
    assert len(piece.json) <= 300
    assert piece.value.endswith("[100 bytes]")


@pytest.mark.parametrize(
    "text", ["\n" * 256 + "x" * 40_000, '"a","b"\n' * 5_000], ids=["newlines first", "CSV"]
)
def test_escaped_characters_cost_no_more_than_they_take(text: str) -> None:
    """Most of the budget is used, wherever in a text they stand."""
    assert len(capture(text, max_attribute=16_384).json.encode()) > 12_000


def test_of_a_long_list_the_first_and_the_last_items_stay() -> None:
    """The middle of a conversation is what is least missed."""
    messages = [
        {"role": "user", "parts": [{"type": "text", "content": f"{index} " + "x" * 200}]}
        for index in range(50)
    ]
    piece = capture(messages, max_attribute=2000)
    first, marker, *rest = piece.value
    assert first["parts"][0]["content"].startswith("0 ")
    assert rest[-1]["parts"][0]["content"].startswith("49 ")
    assert marker["parts"][0] == {
        "type": "omitted",
        "items": 49 - len(rest),
        "bytes": marker["parts"][0]["bytes"],
    }
    assert marker["parts"][0]["bytes"] > 200 * (49 - len(rest))


def test_one_long_part_does_not_push_the_short_ones_out() -> None:
    """Room is shared: what is small stays whole."""
    piece = capture({"question": "why?", "document": "x" * 10_000}, max_attribute=400)
    assert piece.value["question"] == "why?"
    assert piece.value["document"].endswith("[10000 bytes]")


def test_a_span_holds_no_more_than_its_budget() -> None:
    """Later pieces get what earlier ones left; what has no room left is left out."""
    content = Content(ContentPolicy(max_attribute=1000, max_span=1500))
    pieces = [content.capture(kind, "x" * 5000) for kind in "abc"]
    sizes = [len(piece.json.encode()) for piece in pieces if piece is not None]
    assert len(sizes) == 2
    assert sum(sizes) <= 1500


def test_a_piece_told_twice_counts_twice() -> None:
    """With two conventions on, the same content takes twice the span's room."""
    content = Content(ContentPolicy(max_attribute=10_000, max_span=1000, copies={"input": 2}))
    piece = content.capture("input", "x" * 5000)
    assert piece is not None
    assert len(piece.json.encode()) <= 500


def test_what_a_run_was_given_leaves_room_for_its_answer() -> None:
    """Half of what a span may hold is for what comes at the end."""
    content = Content(ContentPolicy(max_attribute=1000, max_span=2000, late={"output"}))
    given = [content.capture(kind, "x" * 900) for kind in ("input", "tools", "instructions")]
    answered = content.capture("output", "x" * 900)
    assert [piece is not None for piece in given] == [True, True, False]
    assert answered is not None
    assert answered.value == "x" * 900


def test_redaction_sees_each_piece_once_with_its_kind() -> None:
    """What it returns is captured in the piece's place."""
    seen: list[tuple[str, Any]] = []

    def redact(kind: str, value: Any) -> Any:
        seen.append((kind, value))
        return {"kept": value["a"]}

    assert capture({"a": 1, "b": 2}, redact=redact).value == {"kept": 1}
    assert seen == [("input", {"a": 1, "b": 2})]


def test_redaction_that_raises_fails_closed() -> None:
    """A marker stands for the piece; nothing of it leaves."""

    def redact(kind: str, value: Any) -> Any:
        raise RuntimeError(value)

    assert capture({"secret": "s3cret"}, redact=redact).value == REDACTION_FAILED


def test_redaction_may_leave_a_piece_out() -> None:
    """None means that nothing is captured."""
    assert capture("secret", redact=lambda kind, value: None) is None


class _Unprintable:
    def __repr__(self) -> str:
        raise RuntimeError("no")


@pytest.mark.parametrize(
    "returned",
    [
        pytest.param(float("nan"), id="nan"),
        pytest.param(b"\xff\xfe", id="bytes"),
        pytest.param("\ud800", id="surrogate"),
        pytest.param({1: {2, 3}}, id="other keys and sets"),
        pytest.param(2**80, id="huge integer"),
        pytest.param([object(), _Unprintable()], id="objects"),
    ],
)
def test_whatever_redaction_returns_can_be_encoded(returned: Any) -> None:
    """A redaction's result is the program's, and may be anything."""
    piece = capture("x", redact=lambda kind, value: returned)
    json.loads(piece.json)
    piece.json.encode()


def test_surrogates_are_replaced() -> None:
    """A lone surrogate cannot be encoded; a pair is the character it stands for."""
    assert capture({"\ud800": ["a\udfffb", "\ud83d\ude00"]}).value == {"�": ["a�b", "😀"]}


@pytest.mark.parametrize("text", ["a\ud800b", "é" * 2000, "a" * 2000])
def test_a_name_can_be_encoded_and_is_bounded(text: str) -> None:
    """A span's name or status that cannot be encoded would lose the whole batch."""
    cleaned = clean_text(text, 1000)
    assert len(cleaned.encode()) <= 1000
    assert cleaned[0] == text[0]


def test_attributes_that_cannot_be_encoded_are_mended_or_left_out() -> None:
    """Integers beyond 64 bits, NaN and objects cost themselves alone."""
    from enum import Enum

    class Colour(str, Enum):
        RED = "red"

    assert clean_attributes(
        {
            "text": "a\ud800",
            "enum": Colour.RED,
            "huge": 2**64,
            "int": 2**62,
            "nan": float("nan"),
            "float": 0.5,
            "bool": True,
            "texts": ["a", "\udfff", 3],
            "many": ["t"] * 1000,
            "object": object(),
        }
    ) == {
        "text": "a�",
        "enum": "red",
        "int": 2**62,
        "float": 0.5,
        "bool": True,
        "texts": ["a", "�"],
        "many": ["t"] * 128,
    }


PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters()),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters()), inner),
    max_leaves=40,
)


@given(PLAIN, st.integers(48, 3000))
@settings(max_examples=300, deadline=None)
def test_nothing_is_over_budget_and_all_of_it_is_json(value: Any, budget: int) -> None:
    """Whatever the value and the budget, what leaves is JSON of at most so many bytes."""
    piece = fit(value, budget)
    assert len(piece.json.encode()) <= budget
    assert json.loads(piece.json) == piece.value


@given(st.text(st.characters(), max_size=2000), st.integers(48, 500))
@settings(max_examples=200, deadline=None)
def test_a_cut_text_begins_as_the_text_did(text: str, budget: int) -> None:
    """Cutting takes from the end, and never more than asked for."""
    short = cut(text, budget)
    assert len(short.encode(errors="replace")) <= max(budget, 24)
    head = short.partition("… [")[0]
    assert text.encode(errors="replace").startswith(head.encode(errors="replace"))
