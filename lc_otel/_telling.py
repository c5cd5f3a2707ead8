"""Runs and outcomes in, all that their spans say out: the chosen conventions, put together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lc_otel._reading.ends import error_name
from lc_otel._reading.starts import read_request
from lc_otel.conventions import _names as names
from lc_otel.conventions import genai, langchain

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lc_otel.run import Outcome, Run, RunEvent, Streaming, Totals

Attributes = dict[str, Any]


class Teller:
    """What the spans of one handler say; reads, and writes nothing."""

    def __init__(self, metadata_keys: frozenset[str] = frozenset()) -> None:
        self._metadata_keys = metadata_keys

    def start(self, run: Run) -> Attributes:
        """What samplers see; for every span."""
        attributes = genai.start_attributes(run)
        attributes.update(langchain.start_attributes(run))
        return attributes

    def request(self, run: Run) -> Attributes:
        """The rest of what is known at the start; for recording spans."""
        attributes = genai.request_attributes(read_request(run))
        attributes.update(langchain.request_attributes(run, self._metadata_keys))
        return attributes

    def outcome(
        self, run: Run, outcome: Outcome, streaming: Streaming | None, totals: Totals
    ) -> Attributes:
        """What is known at the end; for recording spans."""
        attributes = genai.outcome_attributes(run, outcome, streaming)
        attributes.update(langchain.outcome_attributes(outcome, streaming))
        if run.operation == "invoke_agent" or run.parent_run_id is None:
            attributes.update(langchain.total_attributes(totals))
        return attributes

    def exception(self, error: BaseException) -> Attributes:
        """Of the ``exception`` event on the span that raised it."""
        return {names.EXCEPTION_TYPE: error_name(type(error))}

    def status(self, outcome: Outcome) -> str | None:
        """The description of an ERROR status."""
        return outcome.error_type

    def event(self, event: RunEvent) -> Mapping[str, Any]:
        """Of a span event inside a run."""
        return event.attributes
