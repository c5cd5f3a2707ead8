// The page's data in; traces with what the other parts ask of them, and values as text, out.

/** What each kind of run is called; the order is that of the filter. */
const KINDS = {
  agent: "agent",
  workflow: "workflow",
  model: "model",
  tool: "tool",
  retriever: "retriever",
  step: "step",
  other: "other",
};

function readData() {
  const data = JSON.parse(document.getElementById("data").textContent);
  data.traces.forEach(prepare);
  return data;
}

/** Spans stand in tree order; note where each one's descendants end and who its parent is. */
function prepare(trace) {
  const open = [];
  trace.spans.forEach((span, index) => {
    while (open.length && trace.spans[open.at(-1)].depth >= span.depth) open.pop();
    span.parentIndex = open.length ? open.at(-1) : -1;
    span.last = index;
    for (const ancestor of open) trace.spans[ancestor].last = index;
    open.push(index);
  });
}

/** What a user looks for: a test that tells whether any text of a span holds it, in any case. */
function textTest(query) {
  const pattern = new RegExp(query.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"), "i");
  const isSpelled = /["\\]/.test(query);
  const holds = (value) => {
    const left = [value]; // and no recursion, which a value of thousands of levels would break
    while (left.length) {
      const next = left.pop();
      if (typeof next === "object" && next !== null) {
        for (const [key, inner] of Object.entries(next)) left.push(key, inner);
        continue;
      }
      if (pattern.test(String(next))) return true;
      // JSON is shown laid out, and its texts without their escapes
      if (typeof next !== "string" || !/^\s*["[{]/.test(next)) continue;
      if (isSpelled && pattern.test(asText(next))) return true;
      if (next.includes("\\")) left.push(readJson(next) ?? "");
    }
    return false;
  };
  return (span) =>
    holds(span.name) ||
    holds(span.id) ||
    holds(span.message) ||
    holds(span.attributes) ||
    holds(span.events);
}

/** Three significant figures at most: 4.21 ms, 312 ms, 1.20 s, 2 m 05 s. */
function duration(ms) {
  if (ms <= -5e-6) return `-${duration(-ms)}`; // of a clock that was set back
  // before the unit is chosen: 999.9 ms are a second
  const rounded = Math.abs(Number(ms.toPrecision(3)));
  if (rounded >= 60000) {
    const seconds = Math.round(ms / 1000);
    return `${Math.floor(seconds / 60)} m ${String(seconds % 60).padStart(2, "0")} s`;
  }
  const [value, unit] =
    rounded >= 1000
      ? [rounded / 1000, "s"]
      : rounded >= 1 || rounded === 0
        ? [rounded, "ms"]
        : [rounded * 1000, "µs"];
  const digits = value >= 100 || value === 0 ? 0 : value >= 10 ? 1 : 2;
  return `${value.toFixed(digits)} ${unit}`;
}

const count = (number) => Number(number).toLocaleString("en");

const plural = (number, noun) => `${count(number)} ${noun}${number === 1 ? "" : "s"}`;

const tokens = (pair) => (pair ? `${count(pair[0])} → ${count(pair[1])}` : "");

function clock(ms) {
  const date = new Date(ms);
  const two = (number) => String(number).padStart(2, "0");
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
  return `${day} ${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
}

/** An attribute that holds JSON as a string, or the structured value itself; undefined if neither. */
function readJson(value) {
  if (typeof value !== "string") return value;
  try {
    return JSON.parse(value);
  } catch {
    return undefined;
  }
}

/** Any value as people read it: JSON laid out, text as it is. */
function asText(value) {
  const parsed = readJson(value);
  if (typeof parsed === "object" && parsed !== null) {
    try {
      return JSON.stringify(parsed, null, 2);
    } catch {
      // thousands of levels deep
    }
  }
  return typeof value === "string" ? value : JSON.stringify(value);
}

/** OpenInference spells lists and records as `prefix.0.some.name`; build them again. */
function unflatten(attributes, prefix) {
  const root = Object.create(null);
  for (const [key, value] of Object.entries(attributes)) {
    if (!key.startsWith(`${prefix}.`)) continue;
    const path = key.slice(prefix.length + 1).split(".");
    let holder = root;
    for (const step of path.slice(0, -1)) {
      if (typeof holder[step] !== "object" || holder[step] === null)
        holder[step] = Object.create(null);
      holder = holder[step];
    }
    holder[path.at(-1)] = value;
  }
  return Object.values(root).map(Object);
}

/** The messages of one side ("input" or "output") as the GenAI conventions spell them. */
function readMessages(attributes, side) {
  const own = readJson(attributes[`gen_ai.${side}.messages`]);
  if (Array.isArray(own)) return own;
  return unflatten(attributes, `llm.${side}_messages`).map(({ message }) => ({
    role: message?.role,
    parts: [
      ...(message?.content ? [textPart(message.content)] : []),
      ...Object.values(message?.contents ?? {}).map((held) => {
        const part = Object(held?.message_content);
        return part.type === "text" ? textPart(part.text) : { ...part };
      }),
      ...Object.values(message?.tool_calls ?? {}).map((held) => ({
        type: "tool_call",
        id: held?.tool_call?.id ?? message.tool_call_id,
        name: held?.tool_call?.function?.name,
        arguments: held?.tool_call?.function?.arguments,
      })),
    ],
  }));
}

const textPart = (content) => ({ type: "text", content });

function readDocuments(attributes) {
  const own = readJson(attributes["gen_ai.retrieval.documents"]);
  if (Array.isArray(own)) return own;
  return unflatten(attributes, "retrieval.documents").map((held) => held.document ?? {});
}
