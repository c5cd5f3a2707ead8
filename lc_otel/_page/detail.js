// One span in; the panel that tells all about it out.

const LONG = 4000; // characters shown of a long text before it is asked for

const PART = {
  text: (part) => prose(part.content),
  reasoning: (part) =>
    element(
      "details",
      { class: "reasoning", open: true },
      element("summary", null, "reasoning"),
      prose(part.content),
    ),
  tool_call: (part) =>
    block(
      "call",
      ["calls ", element("b", null, String(part.name ?? "a tool")), callId(part)],
      code(part.arguments),
    ),
  tool_call_response: (part) =>
    block("result", ["result", callId(part)], code(part.response ?? part.result)),
  blob: (part) => attachment(part, `${count((part.content ?? "").length)} characters of base64`),
  file: (part) => attachment(part, part.file_id),
  uri: (part) => attachment(part, part.uri),
};

const TOKENS = [
  // label, GenAI name, OpenInference name
  ["input", "gen_ai.usage.input_tokens", "llm.token_count.prompt"],
  [
    "from cache",
    "gen_ai.usage.cache_read.input_tokens",
    "llm.token_count.prompt_details.cache_read",
  ],
  [
    "to cache",
    "gen_ai.usage.cache_write.input_tokens",
    "llm.token_count.prompt_details.cache_write",
  ],
  ["output", "gen_ai.usage.output_tokens", "llm.token_count.completion"],
  [
    "reasoning",
    "gen_ai.usage.reasoning.output_tokens",
    "llm.token_count.completion_details.reasoning",
  ],
];

const FACTS = [
  ["provider", "gen_ai.provider.name"],
  ["model", "gen_ai.response.model", "gen_ai.request.model", "llm.model_name"],
  ["temperature", "gen_ai.request.temperature"],
  ["max tokens", "gen_ai.request.max_tokens"],
  ["finished by", "gen_ai.response.finish_reasons"],
  ["first chunk", "gen_ai.response.time_to_first_chunk"],
  ["conversation", "gen_ai.conversation.id", "session.id"],
  ["graph node", "langgraph.node"],
  ["tags", "langchain.run.tags"],
  ["outcome", "langchain.run.outcome"],
  ["prompt", "gen_ai.prompt.name"],
];

/** How facts and figures are written that are no plain text. */
const WRITTEN = {
  "gen_ai.response.time_to_first_chunk": (seconds) => duration(seconds * 1000),
};

const PAYLOADS = [
  ["input", "call", "input.value", "langchain.input"],
  ["output", "result", "output.value", "langchain.output"],
];

function showDetail(panel, trace, span, close) {
  const attributes = span.attributes;
  panel.replaceChildren(
    ...[
      heading(trace, span, close),
      span.status === "error" && failure(span),
      facts(attributes),
      usage(attributes),
      conversation(span),
      toolsOffered(attributes),
      toolCall(attributes),
      retrieval(attributes),
      inputAndOutput(attributes),
      events(trace, span),
      table("Attributes", attributes, true),
      links(span),
      table(`Resource · ${span.scope || "no scope"}`, trace.resources[span.resource] ?? {}, false),
    ].filter(Boolean),
  );
  panel.scrollTop = 0;
}

function heading(trace, span, close) {
  const button = element(
    "button",
    { type: "button", class: "close", "aria-label": "Close", title: "Close (Esc)" },
    "×",
  );
  button.addEventListener("click", close);
  return element(
    "div",
    { class: "heading", "data-kind": span.kind },
    button,
    element("h2", null, element("span", { class: "kind" }, KINDS[span.kind]), " ", span.name),
    element(
      "p",
      { class: "muted" },
      [
        `${duration(span.duration)}, ${duration(span.start)} after the start`,
        span.spanKind,
        span.status === "unset" ? null : `status ${span.status}`,
      ]
        .filter(Boolean)
        .join(" · "),
    ),
    element("p", { class: "muted id" }, `trace ${trace.id} · span ${span.id}`),
  );
}

function failure(span) {
  const type = span.attributes["error.type"];
  return element(
    "div",
    { class: "failure", role: "alert" },
    element("b", null, type ? String(type) : "error"),
    span.message ? element("div", { class: "prose" }, span.message) : null,
  );
}

function facts(attributes) {
  const rows = FACTS.flatMap(([label, ...names]) => {
    const name = names.find((known) => known in attributes);
    if (!name || (label === "outcome" && attributes[name] === "ok")) return [];
    const value = attributes[name];
    const written = typeof value === "number" && WRITTEN[name]?.(value);
    const shown = written || (Array.isArray(value) ? value.join(", ") : String(value));
    return [element("div", null, element("dt", null, label), element("dd", null, shown))];
  });
  return rows.length ? element("dl", { class: "facts" }, rows) : null;
}

function usage(attributes) {
  const rows = TOKENS.flatMap(([label, ...names]) => {
    const name = names.find((known) => known in attributes);
    if (!name) return [];
    const value = attributes[name];
    const shown = typeof value === "number" ? count(value) : String(value);
    return [element("div", null, element("dt", null, label), element("dd", null, shown))];
  });
  return rows.length ? section("Tokens", element("dl", { class: "figures" }, rows)) : null;
}

function conversation(span) {
  const instructions = readJson(span.attributes["gen_ai.system_instructions"]);
  const asked = readMessages(span.attributes, "input");
  const answered = readMessages(span.attributes, "output");
  const messages = [
    ...(Array.isArray(instructions) ? [message({ role: "system", parts: instructions })] : []),
    ...asked.map((held) => message(held)),
    ...answered.map((held) => message(held, true)),
  ];
  if (messages.length) return section("Conversation", ...messages);
  if (span.kind !== "model") return null;
  return section(
    "Conversation",
    element(
      "p",
      { class: "muted" },
      "Not recorded: content is captured only where it is asked for (capture_content).",
    ),
  );
}

function message(held, answer = false) {
  const role = String(held?.role ?? "message");
  const parts = Array.isArray(held?.parts) ? held.parts : [held?.parts ?? held?.content ?? held];
  const finish = held?.finish_reason;
  return element(
    "article",
    { class: `message ${answer ? "answer" : ""}`, "data-role": role },
    element(
      "header",
      null,
      element("b", null, role),
      held?.name ? ` ${held.name}` : null,
      answer && finish ? element("span", { class: "muted" }, ` finished by ${finish}`) : null,
    ),
    parts.map((part) => {
      if (typeof part === "string") return prose(part);
      return (Object.hasOwn(PART, part?.type) ? PART[part.type] : code)(part);
    }),
  );
}

function toolCall(attributes) {
  const asked = attributes["gen_ai.tool.call.arguments"] ?? attributes["tool.parameters"];
  const result = attributes["gen_ai.tool.call.result"];
  if (asked === undefined && result === undefined) return null;
  return section(
    "Tool call",
    asked === undefined ? null : block("call", ["arguments"], code(asked)),
    result === undefined ? null : block("result", ["result"], code(result)),
  );
}

function retrieval(attributes) {
  const documents = readDocuments(attributes);
  const query = attributes["gen_ai.retrieval.query.text"];
  if (!documents.length && query === undefined) return null;
  return section(
    plural(documents.length, "document"),
    query === undefined ? null : block("call", ["query"], prose(query)),
    documents.map(documentCard),
  );
}

function documentCard(held, index) {
  const { id, score, content, metadata, ...others } = Object(held);
  const share = typeof score === "number" ? Math.min(Math.max(score, 0), 1) : null;
  const bar = share === null ? null : element("span", { class: "score" }, element("span"));
  if (bar) bar.firstChild.style.width = `${share * 100}%`;
  return element(
    "article",
    { class: "document" },
    element(
      "header",
      null,
      element("b", null, id === undefined ? `document ${index + 1}` : String(id)),
      bar,
      score === undefined ? null : element("span", { class: "muted" }, `score ${score}`),
    ),
    content === undefined ? null : prose(content),
    metadata === undefined ? null : code(metadata),
    Object.keys(others).length ? code(others) : null,
  );
}

function inputAndOutput(attributes) {
  if (readMessages(attributes, "input").length || readMessages(attributes, "output").length)
    return null;
  const blocks = PAYLOADS.flatMap(([label, kind, ...names]) => {
    const name = names.find((known) => known in attributes);
    return name ? [block(kind, [label], payload(attributes[name]))] : [];
  });
  return blocks.length ? section("Input and output", ...blocks) : null;
}

/** The state of a graph or agent is often messages alone, which read better as such. */
function payload(value) {
  const { messages, ...others } = Object(readJson(value));
  if (!Array.isArray(messages) || Object.keys(others).length) return code(value);
  return element(
    "div",
    null,
    messages.map((held) => message(held)),
  );
}

function toolsOffered(attributes) {
  const tools = readJson(attributes["gen_ai.tool.definitions"]);
  if (!Array.isArray(tools) || !tools.length) return null;
  const named = tools.map((held) => [String(held?.name ?? held?.type), held?.description ?? held]);
  return table(`${plural(tools.length, "tool")} offered`, Object.fromEntries(named), false);
}

function events(trace, span) {
  if (!span.events.length) return null;
  return section(
    plural(span.events.length, "event"),
    span.events.map((event) => {
      const { "exception.stacktrace": stack, ...others } = event.attributes;
      return element(
        "article",
        { class: `event ${event.name === "exception" ? "failure" : ""}` },
        element(
          "header",
          null,
          element("b", null, event.name),
          element("span", { class: "muted" }, ` at ${duration(event.at)}`),
        ),
        Object.keys(others).length ? pairs(others) : null,
        stack === undefined
          ? null
          : element("pre", { class: "stack", tabindex: "0" }, String(stack)),
      );
    }),
  );
}

function links(span) {
  if (!span.links.length) return null;
  return section(
    "Links",
    span.links.map(([trace, id]) => element("p", { class: "id" }, `trace ${trace} · span ${id}`)),
  );
}

function table(title, values, open) {
  if (!Object.keys(values).length) return null;
  return element("details", { class: "raw", open }, element("summary", null, title), pairs(values));
}

function pairs(values) {
  const rows = Object.entries(values).map(([name, value]) =>
    element(
      "tr",
      null,
      element("th", { scope: "row" }, name),
      element("td", null, shorten(asText(value), plain)),
    ),
  );
  return element("table", null, element("tbody", null, rows));
}

function section(title, ...content) {
  return element("section", null, element("h3", null, title), ...content);
}

function block(kind, title, content) {
  return element(
    "div",
    { class: `block ${kind}` },
    element("div", { class: "title" }, title),
    content,
  );
}

function callId(part) {
  return part.id ? element("span", { class: "muted id" }, ` ${part.id}`) : null;
}

function attachment(part, what) {
  const kind = part.mime_type ?? part.modality ?? part.type;
  return element("p", { class: "attachment" }, `${kind}: ${what ?? "no content"}`);
}

const prose = (text) =>
  shorten(typeof text === "string" ? text : asText(text ?? ""), (shown) =>
    element("div", { class: "prose" }, shown),
  );

const code = (value) =>
  shorten(asText(value ?? ""), (shown) => element("pre", { tabindex: "0" }, shown));

const plain = (shown) => element("span", null, shown);

/** A text in its element, cut where it is long, with a button for the rest. */
function shorten(text, make) {
  if (text.length <= LONG) return make(text);
  const made = make(`${text.slice(0, LONG)}…`);
  const more = element(
    "button",
    { type: "button", class: "more" },
    `Show all ${count(text.length)} characters`,
  );
  more.addEventListener("click", () => {
    made.textContent = text;
    more.remove();
  });
  return element("div", null, made, more);
}
