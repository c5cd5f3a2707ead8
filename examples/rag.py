"""Retrieval, then an answer from what was found."""

from langchain_core.callbacks import CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.language_models import FakeListChatModel
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import RunnablePassthrough

from lc_otel import configure


class WordRetriever(BaseRetriever):
    """Finds the texts that share a word with the question; stands in for a vector store."""

    texts: list[str]

    def _get_relevant_documents(
        self, query: str, *, run_manager: CallbackManagerForRetrieverRun
    ) -> list[Document]:
        wanted = set(query.lower().strip("?").split())
        found = [text for text in self.texts if wanted & set(text.lower().strip(".").split())]
        return [Document(page_content=text) for text in found]


def join(documents: list[Document]) -> str:
    """Lay documents out for a prompt."""
    return "\n".join(document.page_content for document in documents)


def main() -> None:
    """Ask a question about two texts and print the trace."""
    pipeline = configure(console=True)

    retriever = WordRetriever(texts=["Loons nest on quiet lakes.", "Falcons eat pigeons."])
    chain = (
        {"context": retriever | join, "question": RunnablePassthrough()}
        | ChatPromptTemplate.from_template("Answer from this:\n{context}\n\n{question}")
        | FakeListChatModel(responses=["On quiet lakes."])
        | StrOutputParser()
    )
    config = {"callbacks": [pipeline.handler], "run_name": "nesting-places"}
    print(chain.invoke("Where do loons nest?", config))


if __name__ == "__main__":
    main()
