"""The verdict of an evaluator in, the attributes of ``gen_ai.evaluation.result`` out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from lc_otel.conventions._names import RESPONSE_ID

if TYPE_CHECKING:
    from collections.abc import Mapping

EVENT: Final = "gen_ai.evaluation.result"
"""A log event; its parent is the span that was evaluated (GenAI conventions, events.yaml)."""


def attributes(
    name: str,
    score: float | None,
    label: str | None,
    explanation: str | None,
    response_id: str | None,
) -> Mapping[str, Any]:
    """Name the parts of a verdict; what is None is left out."""
    said = {
        "gen_ai.evaluation.name": name,  # required
        "gen_ai.evaluation.score.value": None if score is None else float(score),
        "gen_ai.evaluation.score.label": label,
        "gen_ai.evaluation.explanation": explanation,  # recommended
        RESPONSE_ID: response_id,  # recommended
    }
    return {key: value for key, value in said.items() if value is not None}
