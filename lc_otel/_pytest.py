"""The pytest plugin: a fixture that captures what a test's LangChain runs tell."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lc_otel.testing import Captured


@pytest.fixture
def lc_otel_trace() -> Iterator[Captured]:
    """A `lc_otel.testing.capture`; the test fails where it leaves a run open."""
    # Imported here, since pytest loads the plugin in every session of every project.
    from lc_otel.testing import capture  # noqa: PLC0415

    with capture() as captured:
        yield captured
