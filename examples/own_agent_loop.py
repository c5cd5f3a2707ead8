"""An agent loop of one's own, over plain HTTP and without LangChain, told as one trace."""

import json
import threading
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from lc_otel import configure
from lc_otel.callbacks import CallbackManager, trace_as_chain_group

Message = dict[str, Any]


def weather(city: str) -> str:
    """Look up today's weather."""
    if city != "Bergen":
        raise LookupError(f"no weather known for {city}")
    return f"Rain in {city}."


def ask(address: str, messages: list[Message], manager: CallbackManager) -> Message:
    """Post the conversation to an OpenAI-style endpoint: a run of a chat model."""
    asked = {"model": "gpt-4o", "temperature": 0.2, "messages": messages}
    [run] = manager.on_chat_model_start({"name": "gpt"}, [messages], invocation_params=asked)
    connection = HTTPConnection(address, timeout=10)
    try:
        connection.request("POST", "/v1/chat/completions", json.dumps(asked))
        reply = json.load(connection.getresponse())
    except OSError as error:
        run.on_llm_error(error)
        raise
    finally:
        connection.close()
    [choice] = reply["choices"]
    info = {"finish_reason": choice["finish_reason"]}
    run.on_llm_end(
        {
            "generations": [[{"message": choice["message"], "generation_info": info}]],
            "llm_output": {
                "id": reply["id"],
                "model_name": reply["model"],
                "token_usage": reply["usage"],
            },
        }
    )
    answered: Message = choice["message"]
    return answered


def use_tool(call: dict[str, Any], manager: CallbackManager) -> Message:
    """Run the tool that the model asked for: a run of a tool."""
    arguments = json.loads(call["function"]["arguments"])
    run = manager.on_tool_start(
        {"name": "weather", "description": weather.__doc__},
        call["function"]["arguments"],
        inputs=arguments,
        tool_call_id=call["id"],
    )
    try:
        result = weather(**arguments)
    except Exception as error:
        run.on_tool_error(error)
        raise
    run.on_tool_end(result)
    return {"role": "tool", "tool_call_id": call["id"], "content": result}


def answer(address: str, question: str) -> str:
    """Ask until the model wants no more tools; everything in between is one run."""
    manager = CallbackManager.configure(inheritable_metadata={"ls_provider": "openai"})
    messages: list[Message] = [{"role": "user", "content": question}]
    with trace_as_chain_group("my agent", manager, inputs={"question": question}) as agent:
        while True:
            messages.append(ask(address, messages, agent))
            calls = messages[-1].get("tool_calls")
            if not calls:
                agent.on_chain_end({"answer": messages[-1]["content"]})
                return str(messages[-1]["content"])
            messages += [use_tool(call, agent) for call in calls]


class Stub(BaseHTTPRequestHandler):
    """Stands in for a paid endpoint: asks for the weather once, then repeats what it heard."""

    def do_POST(self) -> None:
        """Answer one conversation."""
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        said = asked["messages"][-1]
        city = said["content"].rstrip("?").split()[-1]
        call = {"name": "weather", "arguments": json.dumps({"city": city})}
        message: Message = {"role": "assistant", "content": said["content"]}
        if said["role"] == "user":
            calls = [{"id": "call_1", "type": "function", "function": call}]
            message = {"role": "assistant", "content": None, "tool_calls": calls}
        choice = {
            "message": message,
            "finish_reason": "tool_calls" if "tool_calls" in message else "stop",
        }
        reply = {
            "id": "chatcmpl-1",
            "model": "gpt-4o-2024-08-06",
            "choices": [choice],
            "usage": {"prompt_tokens": 20 * len(asked["messages"]), "completion_tokens": 8},
        }
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(reply).encode())

    def log_message(self, *args: object) -> None:
        """Log nothing."""


def main() -> None:
    """Answer two questions and print their traces; the second one's tool fails."""
    configure(console=True)
    with ThreadingHTTPServer(("127.0.0.1", 0), Stub) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"127.0.0.1:{server.server_port}"
        print(answer(address, "How is the weather in Bergen?"))
        try:
            answer(address, "How is the weather in Atlantis?")
        except LookupError as error:
            print(f"the agent failed: {error}")
        server.shutdown()


if __name__ == "__main__":
    main()
