"""A trace id in, the spans that Jaeger has of it out, by its query API."""

from __future__ import annotations

import base64
import json
import urllib.error
import urllib.parse
import urllib.request
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from google.protobuf.json_format import ParseDict
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.receiver import read_spans

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lc_otel._trace import FinishedSpan

_IDS = ("traceId", "spanId", "parentSpanId")


class Jaeger:
    """Jaeger's query API.

    Args:
        address: Host and port of the API and the web page.
    """

    def __init__(self, address: str) -> None:
        self.url = f"http://{address}"

    def trace(self, trace_id: str) -> list[FinishedSpan]:
        """Return the spans of one trace; none where it has none."""
        return self._spans(f"/api/v3/traces/{trace_id}", {})

    def spans_of(self, service: str, traces: int = 10_000) -> list[FinishedSpan]:
        """Return every span of the newest traces of a service."""
        now = datetime.now(timezone.utc)
        return self._spans(
            "/api/v3/traces",
            {
                "query.service_name": service,
                "query.start_time_min": (now - timedelta(hours=1)).isoformat(),
                "query.start_time_max": (now + timedelta(minutes=1)).isoformat(),
                "query.num_traces": str(traces),
            },
        )

    def _spans(self, path: str, query: Mapping[str, str]) -> list[FinishedSpan]:
        url = f"{self.url}{path}?{urllib.parse.urlencode(query)}"
        try:
            with urllib.request.urlopen(url, timeout=60) as answer:  # noqa: S310  # loopback
                found = json.load(answer, object_hook=_with_base64_ids)
        except urllib.error.HTTPError as error:
            if error.code == 404:
                return []
            raise
        request = ExportTraceServiceRequest()
        ParseDict(found["result"], request, ignore_unknown_fields=True)
        return list(read_spans(request))


def _with_base64_ids(message: dict[str, Any]) -> dict[str, Any]:
    """OTLP/JSON has ids in hex, protobuf's own JSON in base64."""
    return {
        name: base64.b64encode(bytes.fromhex(value)).decode() if name in _IDS else value
        for name, value in message.items()
    }
