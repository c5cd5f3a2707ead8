"""LangChain's callbacks and ours, driven by the same programs, leave the same records."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import itertools
import sys
import warnings
from typing import Any

import pytest

pytest.importorskip("langchain_core")

# After the skip; each of these modules adds its programs.
from tests.callbacks.parity import (
    dispatch,  # noqa: F401
    groups,  # noqa: F401
    life,  # noqa: F401
    managers,  # noqa: F401
    shipped,  # noqa: F401
)
from tests.callbacks.parity.recorder import PROGRAMS, Record, implementation
from tests.versions import at_least

pytestmark = pytest.mark.logs_warnings("what handlers raise, and how that is logged, is compared")

HELD = "an error that will be raised no longer keeps the event from the handlers after it"
DROPPED = "LangChain's async on_llm_start drops, beside an inline handler, all that are not"
NONE = "None among the handlers costs one warning, not the event"

DIFFERENCES: dict[str, str] = {
    "life[raising_through_first]": HELD,
    "life_in_a_loop[raising_through_first]": HELD,
    "alife[raising_through_first_inline]": HELD,
    "life[raising_through_first_inline]": HELD,
    "life_in_a_loop[raising_through_first_inline]": HELD,
    "life[raising_base_exception_first]": HELD,
    "life_in_a_loop[raising_base_exception_first]": HELD,
    "none_among_the_handlers": NONE,
    "none_among_the_handlers_async": NONE,
    "alife[mixed]": DROPPED,
    "prompts_beside_an_inline_handler": DROPPED,
    "merging_groups_with_metadata_to_inherit": (
        "a merged group keeps the metadata that its runs should inherit; LangChain's loses it"
    ),
    "groups_with_a_manager": (
        "LangChain takes a group's callback_manager only while LangSmith traces; ours always"
    ),
}
"""Where we choose to differ from every LangChain, with the reason."""

FALLBACK = "an async handler without on_chat_model_start gets on_llm_start from a sync manager too"
STREAM_EVENTS = "on_stream_event is new"
UNKNOWN = "removing what is not there is no error"

FIXED_IN: dict[str, dict[str, str]] = {
    "1.0": {
        "a_conversation_of_blocks_as_a_prompt": "of a list of blocks the text becomes the prompt",
        "removing_unknown_metadata": UNKNOWN,
        "removing_unknown_tags": UNKNOWN,
        "writing_to_a_file": "the file's handler is a context manager and writes no terminal codes",
        "writing_to_no_file": "a file that is None is an error when written to, and none before",
    },
    "1.3": {
        "a_conversation_with_tool_calls_as_a_prompt": "tool calls are part of the prompt",
        "configuring_for_langsmith": "configure takes LangSmith's keyword arguments",
        "merging_managers": "a merge keeps inheritable metadata, and local handlers local",
    },
    "1.4": {
        "stream_events": STREAM_EVENTS,
        "stream_events_async": STREAM_EVENTS,
    },
    "1.5": {
        "life[no_chat_start]": FALLBACK,
        "life_in_a_loop[no_chat_start]": FALLBACK,
        "metadata_handed_out_stays": "add_metadata makes a new dict",
        "printing_lists_of_blocks": "a token may be a list of content blocks",
        "versions_in_metadata": "lc_versions merges one level down",
    },
    "1.6": {
        "groups_left_by_a_base_exception": "a group left by a BaseException ends with it",
        "usage_blocks_left_by_an_error": "the block's variable is cleared after an error too",
    },
}
"""Where we differ from langchain-core before a version, because that changed it; of the versions
after 0.3.61 each x.y.0 was looked at, and 1.0.7."""

NOT_YET_FIXED: dict[str, str] = {
    name: reason
    for version, programs in FIXED_IN.items()
    if not at_least("langchain-core", version)
    for name, reason in programs.items()
}


ONE_LOOP = "from 3.11 on LangChain, too, runs the coroutines of one event in one loop and context"

FIXED_SINCE_3_10: dict[str, str] = {
    "life[mixed]": ONE_LOOP,
    "life_in_a_loop[mixed]": ONE_LOOP,
    "what_sync_handlers_write": ONE_LOOP,
    "what_handlers_spawn_is_awaited": "from 3.11 on LangChain, too, awaits what handlers spawn",
}
"""Where we differ from LangChain on Python 3.10 only."""


def is_async(name: str) -> bool:
    """Whether the program is a coroutine function."""
    program = PROGRAMS[name]
    return inspect.iscoroutinefunction(getattr(program, "func", program))


def run(package: str, name: str) -> list[Any]:
    """Run a program in a context of its own and return its record."""
    cb, record = implementation(package), Record()
    program = PROGRAMS[name]

    def in_context() -> None:
        with record.warnings(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if is_async(name):
                asyncio.run(in_loop())
            else:
                program(cb, record)

    async def in_loop() -> None:
        record.enter_loop()
        await program(cb, record)

    contextvars.Context().run(in_context)
    return record.lines()


def by_handler(lines: list[Any]) -> Any:
    """The lines of each handler in order, but events of one name that came together sorted.

    Between handlers that run together, or two prompts told in threads, there is no order.
    """
    found: dict[str, list[Any]] = {}
    for label in dict.fromkeys(str(line[0]) for line in lines):
        own = [line for line in lines if str(line[0]) == label]
        together = itertools.groupby(own, key=lambda line: line[1:2])
        found[label] = [line for _, group in together for line in sorted(group, key=repr)]
    return found


def normalised(name: str, lines: list[Any]) -> Any:
    """A record in the order that can be relied on."""
    return by_handler(lines) if is_async(name) else lines


@pytest.mark.parametrize("name", sorted(PROGRAMS))
def test_a_program_leaves_the_same_record_unless_the_difference_is_listed(name: str) -> None:
    """Calls, arguments, ids' relations, order, place, warnings and errors are LangChain's."""
    theirs = normalised(name, run("langchain_core.callbacks", name))
    ours = normalised(name, run("lc_otel.callbacks", name))
    assert ours, "the program left no record"
    listed = (
        DIFFERENCES.get(name)
        or NOT_YET_FIXED.get(name)
        or (FIXED_SINCE_3_10.get(name) if sys.version_info < (3, 11) else None)
    )
    if listed:
        assert ours != theirs, f"no longer a difference: {listed}"
    else:
        assert ours == theirs


def test_every_listed_difference_is_one_of_a_program() -> None:
    """The tables of differences name nothing that does not exist."""
    fixed = {name for programs in FIXED_IN.values() for name in programs}
    assert {*DIFFERENCES, *fixed, *FIXED_SINCE_3_10} <= set(PROGRAMS)
