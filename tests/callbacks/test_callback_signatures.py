"""Every documented name is at its documented path, with its documented signature."""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest

import lc_otel.callbacks
from tests.callbacks.signatures import NAMES, read_signatures
from tests.versions import at_least

DOCUMENTED: dict[str, Any] = json.loads(
    (Path(__file__).parent / "signatures_0_3_61.json").read_text(encoding="utf-8")
)
"""LangChain's own at 0.3.61; `signatures.py` says how it was made."""

TAGS = "the event carries its run's tags"
SINCE_0_3_61 = {
    "on_llm_new_token": "a token may be a list of content blocks; " + TAGS,
    "on_llm_end": TAGS,
    "on_llm_error": TAGS,
    "on_text": "a run manager's event returns nothing",
    "on_agent_action": "a run manager's event returns nothing",
    "on_agent_finish": "a run manager's event returns nothing",
    "configure": "LangSmith's keyword arguments were added",
    "trace_as_chain_group": "`address` was added",
    "atrace_as_chain_group": "`address` was added",
}
"""What LangChain has changed since, and ours with it, by the name of the method or function."""

OURS = {
    "parent_run_manager": "one generic class holds the group's run for both kinds of group",
}
"""Parameters whose annotation differs, with the reason."""


def without_ours(signature: Any) -> Any:
    """A signature without the annotations that are ours."""
    if signature == "property":
        return signature
    plain = [one[:3] if one[0] in OURS else one for one in signature["parameters"]]
    return {**signature, "parameters": plain}


def test_every_documented_name_is_at_its_path() -> None:
    """`lc_otel.callbacks.<module>.<name>` exists for all 38 names, and is in its `__all__`."""
    missing = [
        f"{module}.{name}"
        for module, names in NAMES.items()
        for name in names
        if not hasattr(import_module(f"lc_otel.callbacks.{module}"), name)
    ]
    assert not missing
    assert sum(map(len, NAMES.values())) == 38


def test_the_manager_module_has_the_names_it_works_with() -> None:
    """What LangChain's programs import from `.manager` besides, ours has there as well."""
    from lc_otel.callbacks import manager

    for name in [
        "BaseCallbackHandler",
        "BaseCallbackManager",
        "Callbacks",
        "ChainManagerMixin",
        "LLMManagerMixin",
        "RetrieverManagerMixin",
        "RunManagerMixin",
        "StdOutCallbackHandler",
        "ToolManagerMixin",
    ]:
        assert getattr(manager, name) is getattr(lc_otel.callbacks, name)
        assert name in manager.__all__
    assert sorted(manager.__all__) == manager.__all__


def test_annotations_are_readable_at_run_time() -> None:
    """Libraries that read a handler's annotations find nothing that is only there to check."""
    handler = lc_otel.callbacks.UsageMetadataCallbackHandler
    assert get_type_hints(handler) == {"raise_error": bool, "run_inline": bool}
    block = get_type_hints(lc_otel.callbacks.get_usage_metadata_callback)
    assert get_args(block["return"])[0] is handler


def test_the_package_offers_its_names_at_the_root() -> None:
    """What LangChain offers at the root is offered here, and so are the two chain groups."""
    dispatch = {"handle_event", "ahandle_event", "shielded"}
    names = {name for names in NAMES.values() for name in names} - dispatch
    assert set(lc_otel.callbacks.__all__) == names | {"Callbacks"}
    assert sorted(lc_otel.callbacks.__all__) == lc_otel.callbacks.__all__
    assert set(lc_otel.callbacks.__all__) <= set(dir(lc_otel.callbacks))
    for name in lc_otel.callbacks.__all__:
        assert getattr(lc_otel.callbacks, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'no_such_name'"):
        lc_otel.callbacks.no_such_name  # noqa: B018 - the access is the test


@pytest.mark.parametrize("path", DOCUMENTED)
def test_a_call_as_documented_at_0_3_61_is_a_call_today(path: str) -> None:
    """Names, kinds, order and defaults are those of 0.3.61; what is new is optional and listed."""
    ours = without_ours(read_signatures("lc_otel.callbacks", [path])[path])
    theirs = without_ours(DOCUMENTED[path])
    if path.rsplit(".", 1)[-1] not in SINCE_0_3_61:
        assert ours == theirs
        return
    assert ours["async"] == theirs["async"]
    documented = [one[:3] for one in theirs["parameters"]]
    known = {one[0] for one in documented}
    assert [one[:3] for one in ours["parameters"] if one[0] in known] == documented
    assert all(one[2] is not None for one in ours["parameters"] if one[0] not in known)


def test_signatures_are_those_of_the_installed_langchain() -> None:
    """Nothing is new on our side: signatures are equal, annotations included."""
    pytest.importorskip("langchain_core")
    if not at_least("langchain-core", "1.7"):
        pytest.skip("ours are those of langchain-core 1.7; 0.3.61's are compared as stored")
    theirs = read_signatures("langchain_core.callbacks")
    ours = read_signatures("lc_otel.callbacks", list(theirs))
    different = {
        path: (without_ours(ours[path]), without_ours(theirs[path]))
        for path in theirs
        if without_ours(ours[path]) != without_ours(theirs[path])
    }
    assert not different
