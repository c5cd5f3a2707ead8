"""Two streams at once in one event loop: two traces, and neither is current for the consumer."""

import asyncio

from langchain_core.language_models import GenericFakeChatModel
from langchain_core.messages import AIMessage
from langchain_core.output_parsers import StrOutputParser
from opentelemetry import trace

from lc_otel import OTelCallbackHandler, configure


async def tell(name: str, story: str, handler: OTelCallbackHandler) -> str:
    """Stream one story; a span made here would be no child of the model's run."""
    model = GenericFakeChatModel(messages=iter([AIMessage(story)]))
    chain = model | StrOutputParser()
    config = {"callbacks": [handler], "run_name": name}
    told = ""
    async for piece in chain.astream("Tell me a story.", config):
        assert not trace.get_current_span().is_recording()  # out here no run is current
        told += piece
        await asyncio.sleep(0.001)  # the other stream's turn
    return told


async def main() -> None:
    """Tell two stories at the same time."""
    with configure(console=True) as pipeline:
        told = await asyncio.gather(
            tell("fox-story", "A fox ran.", pipeline.handler),
            tell("hen-story", "A hen slept.", pipeline.handler),
        )
        print("", *told, sep="\n")


if __name__ == "__main__":
    asyncio.run(main())
