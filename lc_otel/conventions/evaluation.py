"""The verdict of an evaluator in, the attributes of ``gen_ai.evaluation.result`` out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from lc_otel.conventions._names import RESPONSE_ID

if TYPE_CHECKING:
    from collections.abc import Mapping

EVENT: Final = "gen_ai.evaluation.result"
"""A log event; its parent is the span that was evaluated (GenAI conventions, events.yaml)."""


ATTRIBUTES: Final = {
    # what `record_evaluation` is told -> attribute
    "name": "gen_ai.evaluation.name",
    "score": "gen_ai.evaluation.score.value",
    "label": "gen_ai.evaluation.score.label",
    "explanation": "gen_ai.evaluation.explanation",
    "response_id": RESPONSE_ID,
}


def attributes(
    name: str,
    score: float | None,
    label: str | None,
    explanation: str | None,
    response_id: str | None,
) -> Mapping[str, Any]:
    """Name the parts of a verdict; what is None is left out."""
    said = (name, None if score is None else float(score), label, explanation, response_id)
    told = zip(ATTRIBUTES.values(), said, strict=True)
    return {attribute: value for attribute, value in told if value is not None}
