// Clicks, keys and the address in; what is shown out.

const byId = (id) => document.getElementById(id);

const data = readData();

const state = {
  trace: -1, // index of the trace shown
  span: -1, // index of its chosen span
  zoom: -1, // index of the span the axis is zoomed to
  closed: new Set(), // spans whose descendants are hidden
  query: "",
  kinds: new Set(), // kinds asked for; none means all
  errors: false,
};

const waterfall = new Waterfall(byId("spans"), byId("axis"), state);
const traces = new VirtualList(byId("traces"), 62, makeTraceRow);
let found = []; // indexes of the traces that have what is looked for
let hits = null; // spans of the shown trace that have it; null means nothing is looked for

// -- what is looked for ---------------------------------------------------------------------

/** A test for the spans of a trace, or null where nothing is looked for. */
function makeTest(trace) {
  const text = trace.id.startsWith(state.query.toLowerCase()) ? "" : state.query;
  if (!text && !state.kinds.size && !state.errors) return null;
  const hasText = text ? textTest(text) : () => true;
  return (span) =>
    (!state.errors || span.status === "error") &&
    (!state.kinds.size || state.kinds.has(span.kind)) &&
    hasText(span);
}

/** Apply search and filters to every trace, and stay on the shown one if it is still among them. */
function search() {
  found = data.traces.flatMap((trace, index) => {
    const test = makeTest(trace);
    return !test || trace.spans.some(test) ? [index] : [];
  });
  const shown = found.length === data.traces.length ? "" : `${count(found.length)} of `;
  byId("trace-count").textContent = `${shown}${plural(data.traces.length, "trace")}`;
  traces.show(found.length);
  if (found.includes(state.trace)) {
    findHits(data.traces[state.trace]);
    drawTrace();
  } else openTrace(found[0] ?? -1);
  markFound();
}

function findHits(trace) {
  const test = makeTest(trace);
  hits = test && new Set(trace.spans.flatMap((span, index) => (test(span) ? [index] : [])));
}

/** The spans to show: those that match and their ancestors, without what is folded away. */
function visibleRows(trace) {
  const kept = new Set(hits ?? []);
  for (const hit of hits ?? []) {
    for (
      let at = trace.spans[hit].parentIndex;
      at >= 0 && !kept.has(at);
      at = trace.spans[at].parentIndex
    )
      kept.add(at);
  }
  const rows = [];
  for (let index = 0; index < trace.spans.length; index++) {
    if (hits && !kept.has(index)) continue;
    rows.push(index);
    if (state.closed.has(index)) index = trace.spans[index].last;
  }
  return rows;
}

/** Mark what was searched for in the panel, without touching its elements. */
function markFound() {
  if (!globalThis.CSS?.highlights) return;
  CSS.highlights.delete("found");
  if (!state.query) return;
  const wanted = state.query.toLowerCase();
  const ranges = [];
  const walker = document.createTreeWalker(byId("detail"), NodeFilter.SHOW_TEXT);
  while (walker.nextNode() && ranges.length < 1000) {
    const text = walker.currentNode.data.toLowerCase();
    for (
      let at = text.indexOf(wanted);
      at >= 0 && ranges.length < 1000;
      at = text.indexOf(wanted, at + wanted.length)
    ) {
      const range = new StaticRange({
        startContainer: walker.currentNode,
        startOffset: at,
        endContainer: walker.currentNode,
        endOffset: at + wanted.length,
      });
      ranges.push(range);
    }
  }
  CSS.highlights.set("found", new Highlight(...ranges));
}

// -- what is shown --------------------------------------------------------------------------

function makeTraceRow(row) {
  const index = found[row];
  const trace = data.traces[index];
  return element(
    "div",
    {
      class: "trace",
      id: `trace-${trace.id}`,
      role: "option",
      "aria-selected": String(index === state.trace),
      "data-status": trace.failed ? "error" : "ok",
    },
    element("div", { class: "top" }, element("b", { title: trace.name }, trace.name)),
    element(
      "div",
      { class: "muted" },
      element("span", null, clock(trace.began)),
      element("span", null, duration(trace.duration)),
    ),
    element(
      "div",
      { class: "muted" },
      element(
        "span",
        null,
        trace.tokens ? `${tokens(trace.tokens)} tokens` : plural(trace.spans.length, "span"),
      ),
      trace.failed
        ? element("span", { class: "cross" }, `✗ ${plural(trace.failed, "error")}`)
        : null,
    ),
  );
}

function openTrace(index, spanId) {
  state.trace = index;
  state.span = state.zoom = -1;
  state.closed.clear();
  byId("spans").scrollTop = 0;
  const trace = data.traces[index];
  const span = trace?.spans.findIndex(({ id }) => id === spanId) ?? -1;
  traces.reveal(Math.max(found.indexOf(index), 0));
  if (trace) {
    byId("traces").setAttribute("aria-activedescendant", `trace-${trace.id}`);
    findHits(trace);
  }
  drawTrace();
  if (span >= 0) choose(span);
  else closeDetail();
}

function drawTrace() {
  const trace = data.traces[state.trace];
  byId("waterfall").classList.toggle("empty", !trace);
  if (!trace) {
    waterfall.clear();
    byId("trace-head").replaceChildren(
      element(
        "p",
        { class: "muted" },
        data.traces.length
          ? "Nothing matches the search and the filters."
          : "There are no traces in this page.",
      ),
    );
    return;
  }
  byId("trace-head").replaceChildren(
    element("h2", null, trace.name),
    element(
      "p",
      { class: "muted" },
      [
        clock(trace.began),
        duration(trace.duration),
        plural(trace.spans.length, "span"),
        trace.calls ? plural(trace.calls, "model call") : null,
        trace.tokens ? `${tokens(trace.tokens)} tokens` : null,
        trace.failed ? plural(trace.failed, "error") : null,
      ]
        .filter(Boolean)
        .join(" · "),
      " · ",
      element("span", { class: "id" }, trace.id),
    ),
  );
  waterfall.show(trace, visibleRows(trace), hits);
}

function choose(index) {
  const trace = data.traces[state.trace];
  const span = trace.spans[index];
  for (let at = span.parentIndex; at >= 0; at = trace.spans[at].parentIndex)
    state.closed.delete(at);
  state.span = index;
  byId("detail").hidden = false;
  showDetail(byId("detail"), trace, span, closeDetail);
  drawTrace();
  waterfall.list.reveal(Math.max(waterfall.rows.indexOf(index), 0));
  byId("spans").setAttribute("aria-activedescendant", `span-${span.id}`);
  markFound();
  remember(`${trace.id}/${span.id}`);
}

function closeDetail() {
  state.span = -1;
  byId("detail").hidden = true;
  byId("detail").replaceChildren();
  byId("spans").removeAttribute("aria-activedescendant");
  waterfall.list.draw();
  remember(data.traces[state.trace]?.id ?? "");
}

function remember(place) {
  history.replaceState(null, "", `#${place}`);
}

function fold(index, closed) {
  if (closed) state.closed.add(index);
  else state.closed.delete(index);
  drawTrace();
}

function zoom() {
  state.zoom = state.zoom === state.span ? -1 : state.span;
  drawTrace();
}

// -- clicks ---------------------------------------------------------------------------------

waterfall.list.onPick((row, event) => {
  const index = waterfall.rows[row];
  if (event.target.closest(".twist") && data.traces[state.trace].spans[index].last > index) {
    fold(index, !state.closed.has(index));
  } else choose(index);
});

traces.onPick((row) => openTrace(found[row]));

byId("search").addEventListener("input", (event) => {
  state.query = event.target.value.trim();
  clearTimeout(search.waiting);
  search.waiting = setTimeout(search, 120);
});

byId("errors").addEventListener("click", toggleErrors);
byId("theme").addEventListener("click", toggleTheme);
byId("help").addEventListener("click", () => byId("keys").showModal());

for (const [kind, label] of Object.entries(KINDS)) {
  if (!data.traces.some((trace) => trace.spans.some((span) => span.kind === kind))) continue;
  const button = element(
    "button",
    { type: "button", "data-kind": kind, "aria-pressed": "false", title: `Only ${label}` },
    label,
  );
  button.addEventListener("click", () => {
    if (!state.kinds.delete(kind)) state.kinds.add(kind);
    button.setAttribute("aria-pressed", String(state.kinds.has(kind)));
    search();
  });
  byId("kinds").append(button);
}

function toggleErrors() {
  state.errors = !state.errors;
  byId("errors").setAttribute("aria-pressed", String(state.errors));
  search();
}

function toggleTheme() {
  const root = document.documentElement;
  const dark = root.dataset.theme
    ? root.dataset.theme === "dark"
    : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
}

// -- keys -----------------------------------------------------------------------------------

function goTo(row) {
  const last = waterfall.rows.length - 1;
  if (last >= 0) choose(waterfall.rows[Math.min(Math.max(row, 0), last)]);
}

function step(by) {
  const at = waterfall.rows.indexOf(state.span);
  if (at >= 0) goTo(at + by);
  else goTo(by > 0 ? by - 1 : waterfall.rows.length + by);
}

function stepTrace(by) {
  const at = found.indexOf(state.trace) + by;
  if (at >= 0 && at < found.length) openTrace(found[at]);
}

function goIn() {
  if (state.span < 0) return step(1);
  const span = data.traces[state.trace].spans[state.span];
  if (state.closed.has(state.span)) fold(state.span, false);
  else if (span.last > state.span) step(1);
}

function goOut() {
  if (state.span < 0) return;
  const span = data.traces[state.trace].spans[state.span];
  if (span.last > state.span && !state.closed.has(state.span)) fold(state.span, true);
  else if (span.parentIndex >= 0) choose(span.parentIndex);
}

function nextError() {
  const { spans } = data.traces[state.trace];
  const failed = spans.flatMap((span, index) => (span.status === "error" ? [index] : []));
  const next = failed.find((index) => index > state.span) ?? failed[0];
  if (next !== undefined) choose(next);
}

function escape() {
  if (byId("search").value) {
    byId("search").value = state.query = "";
    search();
  } else if (state.zoom >= 0) {
    state.zoom = -1;
    drawTrace();
  } else closeDetail();
}

const KEYS = {
  ArrowDown: () => step(1),
  ArrowUp: () => step(-1),
  j: () => step(1),
  k: () => step(-1),
  ArrowRight: goIn,
  ArrowLeft: goOut,
  Home: () => goTo(0),
  End: () => goTo(Infinity),
  PageDown: () => step(20),
  PageUp: () => step(-20),
  "]": () => stepTrace(1),
  "[": () => stepTrace(-1),
  n: nextError,
  z: zoom,
  e: toggleErrors,
  t: toggleTheme,
  "?": () => byId("keys").showModal(),
  "/": () => byId("search").focus(),
  Escape: escape,
};

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || byId("keys").open) return;
  if (event.target === byId("search")) {
    if (!["Escape", "Enter", "ArrowDown"].includes(event.key)) return;
    event.target.blur();
    byId("spans").focus();
    if (event.key === "Enter") return;
  }
  const inPanel =
    byId("detail").contains(event.target) && event.key.length > 1 && event.key !== "Escape";
  const inTraces = event.target === byId("traces") && /^Arrow(Up|Down)$/.test(event.key);
  const onButton =
    event.target.closest("button, summary") && event.key.length > 1 && event.key !== "Escape";
  if (inPanel || onButton || !Object.hasOwn(KEYS, event.key)) return;
  if (state.trace < 0 && !"/?tEscape".includes(event.key)) return;
  event.preventDefault();
  if (inTraces) stepTrace(event.key === "ArrowDown" ? 1 : -1);
  else KEYS[event.key]();
});

// -- start ----------------------------------------------------------------------------------

/** Show what an address names, as `remember` wrote it. */
function follow(address) {
  const [traceId, spanId] = address.slice(1).split("/");
  const wanted = data.traces.findIndex(({ id }) => id === traceId);
  if (wanted >= 0) openTrace(wanted, spanId);
}

document.title = `${data.source} · lc-otel`;
byId("source").textContent = data.source;
const asked = location.hash;
search();
follow(asked);
byId("spans").focus();
addEventListener("hashchange", () => follow(location.hash));
