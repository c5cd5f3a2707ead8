"""Runs and outcomes in, all that their spans say out: conventions and content, put together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from lc_otel._content import Content, ContentPolicy, Piece, clean_attributes, clean_text
from lc_otel._reading.contents import (
    INFERENCE,
    read_exception,
    read_input,
    read_output_pieces,
    read_prompt,
)
from lc_otel._reading.ends import error_name
from lc_otel._reading.starts import is_prompt, read_request
from lc_otel._reading.values import Reader, Wanted
from lc_otel.conventions import _names as names
from lc_otel.conventions import genai, langchain, openinference

if TYPE_CHECKING:
    from lc_otel.run import Outcome, Request, Run, RunEvent, Streaming, Totals

Attributes = dict[str, Any]
Report = Callable[[str, Exception], None]
"""Told what could not be read, and why."""


def count_copies(*, of_genai: bool, of_openinference: bool) -> dict[str, int]:
    """By kind of a piece of content, how many attributes of a span say it."""
    tables: list[Iterable[str]] = [langchain.TEXTS]
    if of_genai:
        tables += [genai.LISTS, genai.TEXTS, genai.STATES]
    if of_openinference:
        tables += [openinference.VALUES, openinference.FLATTEN, openinference.TEXTS]
    return Counter(kind for table in tables for kind in table)


class Telling(NamedTuple):
    """What is told of runs, beside the attributes every span has."""

    genai: bool = True
    openinference: bool = False
    content_on_spans: bool = False
    content_in_events: bool = False
    policy: ContentPolicy = ContentPolicy()
    metadata_keys: frozenset[str] = langchain.METADATA
    user_keys: tuple[str, ...] = ("user_id",)


class Teller:
    """What the spans of one handler say; reads, and writes nothing.

    Args:
        telling: What is told.
        report: Told of content that could not be read; it costs the piece, never the span.
    """

    def __init__(self, telling: Telling, report: Report) -> None:
        self._telling = telling
        self._report = report
        policy = telling.policy
        # A redaction is shown the whole of a piece.
        limit = policy.max_attribute if policy.redact is None else None
        self._wanted = Wanted(policy.binary, limit)

    def name(self, run: Run) -> str:
        """The span's name."""
        return clean_text(genai.span_name(run))

    def start(self, run: Run) -> Attributes:
        """What samplers see; for every span."""
        attributes = genai.start_attributes(run) if self._telling.genai else {}
        attributes.update(self._own(run))
        return clean_attributes(attributes)

    def _own(self, run: Run) -> Attributes:
        telling = self._telling
        return langchain.start_attributes(run, telling.metadata_keys, telling.user_keys)

    def open_content(self, run: Run) -> Content | None:
        """Where the run's content is to be captured; None where none is wanted."""
        telling = self._telling
        if telling.content_on_spans or (telling.content_in_events and run.operation in INFERENCE):
            return Content(telling.policy)
        return None

    def request(self, run: Run, prompt: Run | None, content: Content | None) -> Attributes:
        """The rest of what is known at the start; for recording spans.

        Args:
            run: The run.
            prompt: The prompt run whose messages a model is given, where there is one.
            content: Captures the run's input, where it is wanted.
        """
        telling = self._telling
        attributes: Attributes = {}
        if run.type != "chain" or telling.openinference:  # of a chain, `start` has said the rest
            request = _read_request(run, prompt)
            if telling.openinference:
                attributes.update(
                    openinference.request_attributes(
                        run, request, self._own(run), is_prompt=is_prompt(run)
                    )
                )
            if telling.genai:
                attributes.update(genai.request_attributes(request))
            clean_attributes(attributes)
        if content is None:
            return attributes
        pieces = self._capture(
            content, lambda wanted: read_input(run, prompt, wanted), "what a run was given"
        )
        return {**self._content_attributes(run, pieces), **attributes}

    def outcome(
        self,
        run: Run,
        outcome: Outcome,
        streaming: Streaming | None,
        totals: Totals,
        content: Content | None,
    ) -> Attributes:
        """What is known at the end; for recording spans."""
        telling = self._telling
        attributes = langchain.outcome_attributes(outcome, streaming)
        if run.operation == "invoke_agent" or run.parent_run_id is None:
            attributes.update(langchain.total_attributes(totals))
        if telling.openinference:
            attributes.update(openinference.outcome_attributes(run, outcome))
        if telling.genai:
            attributes.update(genai.outcome_attributes(run, outcome, streaming))
        elif outcome.error_type is not None:
            attributes[names.ERROR_TYPE] = outcome.error_type
        clean_attributes(attributes)
        if content is None:
            return attributes
        pieces = self._capture(
            content, lambda wanted: read_output_pieces(run, outcome, wanted), "what a run returned"
        )
        return {**self._content_attributes(run, pieces), **attributes}

    def details(
        self,
        run: Run,
        prompt: Run | None,
        outcome: Outcome,
        streaming: Streaming | None,
        content: Content,
    ) -> Attributes:
        """Of the log event that tells a model call with its content."""
        attributes = genai.start_attributes(run)
        attributes.update(genai.request_attributes(_read_request(run, prompt)))
        attributes.update(genai.outcome_attributes(run, outcome, streaming))
        clean_attributes(attributes)
        attributes.update(genai.content_values(content.pieces))
        return attributes

    def exception(self, error: BaseException, content: Content | None) -> Attributes:
        """Of the ``exception`` event on the span that raised it."""
        attributes = clean_attributes({names.EXCEPTION_TYPE: error_name(type(error))})
        if content is not None and self._telling.content_on_spans:
            pieces = self._capture(content, lambda _: read_exception(error), "an exception")
            for kind, attribute in langchain.EXCEPTION.items():
                if kind in pieces:
                    attributes[attribute] = pieces[kind].text
        return attributes

    def status(self, outcome: Outcome, said: str | None) -> str | None:
        """The description of an ERROR status: the error's message where captured, else its type."""
        described = outcome.error_type if said is None else said
        return None if described is None else clean_text(described)

    def event(self, event: RunEvent, content: Content | None) -> tuple[str, Attributes]:
        """Name and attributes of a span event inside a run."""
        attributes = clean_attributes(dict(event.attributes))
        if event.content is not None and content is not None and self._telling.content_on_spans:
            pieces = self._capture(
                content,
                lambda wanted: iter([("event", Reader(wanted).read(event.content))]),
                "the payload of an event",
            )
            if "event" in pieces:
                attributes[names.EVENT_DATA] = pieces["event"].text
        return clean_text(event.name), attributes

    def _capture(
        self,
        content: Content,
        read: Callable[[Wanted], Iterator[tuple[str, Any]]],
        what: str,
    ) -> dict[str, Piece]:
        pieces: dict[str, Piece] = {}
        try:
            for kind, value in read(self._wanted):
                piece = content.capture(kind, value)
                if piece is not None:
                    pieces[kind] = piece
        except Exception as error:  # noqa: BLE001 -- what cannot be read costs the piece
            self._report(what, error)
        return pieces

    def _content_attributes(self, run: Run, pieces: dict[str, Piece]) -> Attributes:
        telling = self._telling
        if not telling.content_on_spans:
            return {}
        attributes = langchain.content_attributes(pieces)
        if telling.genai:
            attributes.update(genai.content_attributes(run, pieces))
        if telling.openinference:
            attributes = {**openinference.content_attributes(pieces), **attributes}
        return attributes


def _read_request(run: Run, prompt: Run | None) -> Request:
    request = read_request(run)
    if prompt is None:
        return request
    name, version = read_prompt(prompt)
    return request._replace(prompt_name=name, prompt_version=version)
