"""Sending to a backend that wants an API key: python backend_with_headers.py ENDPOINT KEY."""

import sys

from langchain_core.language_models import FakeListChatModel

from lc_otel import configure


def main(endpoint: str, key: str) -> int:
    """Run a model and report whether the backend took its trace."""
    # an address with a path, or with port 4318, means OTLP over HTTP; any other gRPC
    with configure(
        endpoint,
        service_name="example",
        headers={"x-api-key": key},
        compression="gzip",
        timeout=3,
    ) as pipeline:
        FakeListChatModel(responses=["hello"]).invoke("hi", {"callbacks": [pipeline.handler]})
        if pipeline.flush():
            print(f"{pipeline.exported} span accepted by {pipeline.address}")
            return 0
        print(f"{pipeline.failed} span lost: {pipeline.last_error}")
        return 1


if __name__ == "__main__":
    arguments = sys.argv[1:] or ["http://localhost:4317", "my-key"]
    sys.exit(main(*arguments))
