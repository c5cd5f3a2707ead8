"""The pytest plugin: a fixture that captures what a test's LangChain runs tell."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lc_otel.testing import Captured


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known to ``--strict-markers``."""
    config.addinivalue_line(
        "markers", "lc_otel(**fields): fields of lc_otel.Config for the fixture lc_otel_trace"
    )


@pytest.fixture
def lc_otel_trace(request: pytest.FixtureRequest) -> Iterator[Captured]:
    """A `lc_otel.testing.capture`; the test fails where it leaves a run open.

    ``@pytest.mark.lc_otel(capture_content=True)`` says what it records.
    """
    # Imported here, since pytest loads the plugin in every session of every project.
    from lc_otel.config import Config  # noqa: PLC0415
    from lc_otel.testing import capture  # noqa: PLC0415

    marker = request.node.get_closest_marker("lc_otel")
    if marker and marker.args:
        seen = ", ".join(map(repr, marker.args))
        pytest.fail(
            f"@pytest.mark.lc_otel({seen}): expected fields of Config by name, as in "
            "@pytest.mark.lc_otel(capture_content=True)",
            pytrace=False,
        )
    with capture(Config(**marker.kwargs) if marker else None) as captured:
        yield captured
