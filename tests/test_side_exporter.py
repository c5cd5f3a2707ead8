"""A backend that takes spans alone costs no error a minute for the metrics it refuses."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import grpc
import pytest

from lc_otel import configure
from tests.receiver import Fault, grpc_receiver, http_receiver

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from tests.receiver import Address

REFUSALS = {
    "grpc": Fault(grpc=grpc.StatusCode.UNIMPLEMENTED, signal="metrics"),
    "http/protobuf": Fault(http=404, signal="metrics"),
}


def receiver(protocol: str) -> AbstractContextManager[Address]:
    """A backend."""
    return grpc_receiver() if protocol == "grpc" else http_receiver()


def measure(backend: Address) -> None:
    """Send a span and a metric, three times."""
    with configure(backend.endpoint, backend.protocol, set_global=False, timeout=2) as pipeline:
        assert pipeline.meter_provider is not None
        counter = pipeline.meter_provider.get_meter("test").create_counter("c")
        for _ in range(3):
            counter.add(1)
            with pipeline.tracer_provider.get_tracer("test").start_as_current_span("s"):
                pass
            pipeline.flush()


@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
def test_refused_metrics_are_sent_once_and_said_in_one_line(
    protocol: str, caplog: pytest.LogCaptureFixture
) -> None:
    """After a refusal no metric is sent any more, one INFO line says so, and spans go on."""
    caplog.set_level(logging.INFO, "lc_otel")
    with receiver(protocol) as backend:
        backend.receiver.fault = REFUSALS[protocol]
        measure(backend)
        assert len(backend.receiver.spans) == 3
        assert len(backend.receiver.refused) == 1
    said = [record for record in caplog.records if "takes no metrics" in record.message]
    assert [record.levelname for record in said] == ["INFO"]
    assert backend.endpoint in said[0].message


@pytest.mark.logs_warnings("metrics that fail for another reason are said once")
@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
def test_metrics_that_fail_otherwise_are_said_once_and_tried_again(
    protocol: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Any other failure is one WARNING with its reason, and the next export is tried."""
    fault = (
        Fault(grpc=grpc.StatusCode.PERMISSION_DENIED, signal="metrics", times=2)
        if protocol == "grpc"
        else Fault(http=403, signal="metrics", times=2)
    )
    with receiver(protocol) as backend:
        backend.receiver.fault = fault
        measure(backend)
        assert "c" in backend.receiver.metric_names
    said = [record.message for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(said) == 1
    assert "metrics did not reach" in said[0]
    assert "PERMISSION_DENIED" in said[0] or "403" in said[0]
