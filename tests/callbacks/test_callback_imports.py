"""The callback system stands alone, and importing a handler costs no manager."""

from __future__ import annotations

import subprocess
import textwrap

import pytest

from tests.versions import STRICT


def run(program: str) -> str:
    """Run a program in a fresh interpreter where any warning is an error; return its output."""
    done = subprocess.run(
        [*STRICT, "-c", textwrap.dedent(program)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


ALONE = """
    import sys
    sys.modules["langchain_core"] = None  # any import of it is an ImportError
"""


def test_everything_works_without_langchain() -> None:
    """Managers, groups, hooks, usage and custom events import nothing of LangChain."""
    output = run(
        ALONE
        + """
    import asyncio
    from lc_otel.callbacks import *

    class Printing(BaseCallbackHandler):
        def on_llm_start(self, serialized, prompts, **kwargs):
            print(prompts)
        def on_custom_event(self, name, data, **kwargs):
            print(name, data)

    manager = CallbackManager.configure([Printing()])
    with trace_as_chain_group("group", manager) as group, get_usage_metadata_callback() as usage:
        [run] = group.on_chat_model_start({}, [[{"role": "user", "content": "hello"}]])
        dispatch_custom_event("name", 1, config={"callbacks": group})
        [run] = CallbackManager.configure().on_llm_start({}, ["p"])
        message = {"usage_metadata": {"input_tokens": 1}, "response_metadata": {"model_name": "m"}}
        run.on_llm_end({"generations": [[{"message": message}]]})
        print(usage)

    async def main():
        async with atrace_as_chain_group("group", AsyncCallbackManager([Printing()])) as group:
            await group.on_llm_start({}, ["alone"])

    asyncio.run(main())
    print([name for name in sys.modules if name.startswith(("langchain", "langsmith"))])
    """
    )
    assert output.splitlines() == [
        "['Human: hello']",
        "name 1",
        "{'m': {'input_tokens': 1}}",
        "['langchain_core']",
    ]


def test_a_langchain_that_is_being_imported_means_standing_alone() -> None:
    """A partly imported langchain_core gives an ImportError; ours is then complete by itself."""
    output = run(
        """
    import sys, types
    for name in ("langchain_core", "langchain_core.callbacks", "langchain_core.callbacks.base"):
        sys.modules[name] = types.ModuleType(name)
        sys.modules[name].__path__ = []
    from lc_otel.callbacks import BaseCallbackHandler, CallbackManager
    run = CallbackManager([BaseCallbackHandler()]).on_chain_start({}, {})
    run.on_chain_end({})
    print({kind.__module__.split(".")[0] for kind in CallbackManager.__mro__})
    """
    )
    assert output.strip() in ("{'lc_otel', 'builtins'}", "{'builtins', 'lc_otel'}")


def test_a_handler_alone_does_not_cost_what_managers_cost() -> None:
    """Importing the base module loads no manager, no runnable and no LangSmith client."""
    output = run(
        """
    import sys
    import lc_otel.callbacks.base
    heavy = ("lc_otel.callbacks.manager", "lc_otel.callbacks._managers", "langsmith",
             "langchain_core.callbacks.manager", "langchain_core.runnables")
    print([name for name in heavy if name in sys.modules])
    """
    )
    assert output.strip() == "[]"


def test_modules_are_attributes_of_the_package() -> None:
    """`lc_otel.callbacks.manager` and its like need no import of their own."""
    output = run(
        """
    import lc_otel.callbacks
    names = ("base", "file", "manager", "stdout", "streaming_stdout", "usage")
    print([getattr(lc_otel.callbacks, name).__name__.rpartition(".")[2] for name in names])
    """
    )
    assert output.strip() == "['base', 'file', 'manager', 'stdout', 'streaming_stdout', 'usage']"


def test_custom_events_carry_the_same_whatever_is_loaded_of_langchain() -> None:
    """A config says the same before and after something imports LangChain's runnables."""
    pytest.importorskip("langchain_core")
    output = run(
        """
    import sys
    from lc_otel.callbacks import BaseCallbackHandler, CallbackManager, dispatch_custom_event

    class Printing(BaseCallbackHandler):
        def on_custom_event(self, name, data, *, metadata, **kwargs):
            print(metadata)

    run = CallbackManager.configure([Printing()]).on_chain_start({}, {})
    config = {"callbacks": run.get_child(), "configurable": {"model": "gpt"}}
    assert "langchain_core.runnables.config" not in sys.modules
    dispatch_custom_event("name", 1, config=config)
    import langchain_core.runnables.config
    dispatch_custom_event("name", 1, config=config)
    """
    )
    assert output.splitlines() == ["{'model': 'gpt'}"] * 2
