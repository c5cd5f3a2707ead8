"""All documented callables of a callback package, with their signatures as text.

Makes `signatures_0_3_61.json`, in an environment with langchain-core 0.3.61:

    python tests/callbacks/signatures.py > tests/callbacks/signatures_0_3_61.json
"""

from __future__ import annotations

import inspect
import json
import re
from importlib import import_module
from typing import TYPE_CHECKING, Any, get_origin

if TYPE_CHECKING:
    from collections.abc import Iterator

NAMES = {
    "base": [
        "AsyncCallbackHandler",
        "BaseCallbackHandler",
        "BaseCallbackManager",
        "CallbackManagerMixin",
        "ChainManagerMixin",
        "LLMManagerMixin",
        "RetrieverManagerMixin",
        "RunManagerMixin",
        "ToolManagerMixin",
    ],
    "file": ["FileCallbackHandler"],
    "manager": [
        "AsyncCallbackManager",
        "AsyncCallbackManagerForChainGroup",
        "AsyncCallbackManagerForChainRun",
        "AsyncCallbackManagerForLLMRun",
        "AsyncCallbackManagerForRetrieverRun",
        "AsyncCallbackManagerForToolRun",
        "AsyncParentRunManager",
        "AsyncRunManager",
        "BaseRunManager",
        "CallbackManager",
        "CallbackManagerForChainGroup",
        "CallbackManagerForChainRun",
        "CallbackManagerForLLMRun",
        "CallbackManagerForRetrieverRun",
        "CallbackManagerForToolRun",
        "ParentRunManager",
        "RunManager",
        "adispatch_custom_event",
        "ahandle_event",
        "atrace_as_chain_group",
        "dispatch_custom_event",
        "handle_event",
        "shielded",
        "trace_as_chain_group",
    ],
    "stdout": ["StdOutCallbackHandler"],
    "streaming_stdout": ["StreamingStdOutCallbackHandler"],
    "usage": ["UsageMetadataCallbackHandler", "get_usage_metadata_callback"],
}
"""The names of the API reference of langchain_core.callbacks at 0.3.61, by module."""


# Our words for LangChain's, and what a type checker learns the same from.
SYNONYMS = {"AnyHandler": "BaseCallbackHandler", "AnyManager": "BaseCallbackManager"}


def read_signatures(package: str, paths: list[str] | None = None) -> dict[str, Any]:
    """The signature of each documented function and method, by `module.name[.method]`.

    Without `paths`, each method is read where its class defines it; with them, where it is found.
    """
    return {path: _read(package, path) for path in paths or list(_paths(package))}


def _paths(package: str) -> Iterator[str]:
    for module, names in NAMES.items():
        for name in names:
            value = getattr(import_module(f"{package}.{module}"), name)
            if not inspect.isclass(value):
                yield f"{module}.{name}"
                continue
            for member, method in vars(value).items():
                documented = member == "__init__" or not member.startswith("_")
                if documented and (callable(method) or isinstance(method, (property, classmethod))):
                    yield f"{module}.{name}.{member}"


def _read(package: str, path: str) -> Any:
    module, name, *member = path.split(".")
    owner = getattr(import_module(f"{package}.{module}"), name)
    value = inspect.getattr_static(owner, member[0]) if member else owner
    if isinstance(value, property):
        return "property"
    function = getattr(owner, member[0]) if member else owner
    signature = inspect.signature(function)
    return {
        "async": inspect.iscoroutinefunction(function),
        "parameters": [
            [one.name, one.kind.name, _default(one.default), spell(one.annotation, name)]
            for one in signature.parameters.values()
            if one.name != "self"
        ],
        "returns": spell(signature.return_annotation, name),
    }


def _default(default: Any) -> str | None:
    return None if default is inspect.Parameter.empty else repr(default)


def spell(annotation: Any, owner: str) -> str | None:
    """An annotation in today's spelling: its alternatives sorted, no modules, Self as its class."""
    if annotation is inspect.Parameter.empty:
        return None
    plain = inspect.isclass(annotation) and get_origin(annotation) is None
    text = annotation.__name__ if plain else str(annotation)
    text = re.sub(r"\b(?:\w+\.)+(\w+)", r"\1", text)
    for ours, theirs in {**SYNONYMS, "Self": owner}.items():
        text = re.sub(rf"\b{ours}\b", theirs, text)
    return " | ".join(sorted(_alternatives(text)))


def _alternatives(text: str) -> list[str]:
    """What a union is a union of, however it is spelled."""
    if optional := re.fullmatch(r"Optional\[(.*)\]", text):
        return [*_alternatives(optional[1]), "None"]
    if union := re.fullmatch(r"Union\[(.*)\]", text):
        return _split(union[1], ",")
    return _split(text, "|")


def _split(text: str, separator: str) -> list[str]:
    """Split at a separator that stands in no bracket."""
    parts, depth = [""], 0
    for character in text:
        depth += (character == "[") - (character == "]")
        if character == separator and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    return [part.strip() for part in parts]


if __name__ == "__main__":
    lines = [
        f"{json.dumps(path)}: {json.dumps(found)}"
        for path, found in read_signatures("langchain_core.callbacks").items()
    ]
    print("{", ",\n".join(lines), "}", sep="\n")  # noqa: T201
