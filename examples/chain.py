"""A prompt, a model and a parser: one trace with three steps."""

from langchain_core.language_models import GenericFakeChatModel
from langchain_core.messages import AIMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate

from lc_otel import configure


def main() -> None:
    """Run the chain and print its trace."""
    pipeline = configure(console=True)

    # stands in for a model that costs money, such as ChatOpenAI(model="gpt-4o")
    usage = {"input_tokens": 14, "output_tokens": 6, "total_tokens": 20}
    reply = AIMessage("Because it scatters blue light.", usage_metadata=usage)
    model = GenericFakeChatModel(messages=iter([reply]))

    chain = ChatPromptTemplate.from_template("Why is {thing} blue?") | model | StrOutputParser()
    config = {"callbacks": [pipeline.handler], "run_name": "explain"}
    print(chain.invoke({"thing": "the sky"}, config))


if __name__ == "__main__":
    main()
