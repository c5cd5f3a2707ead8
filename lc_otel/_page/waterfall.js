// One trace in; rows with their bars on a time axis out.

const STEPS = [1, 2, 5];
const LABEL_WIDTH = 58; // pixels that "999.9 ms" takes beside a bar

/** A round time without the zeros that only a measured one needs. */
const tickLabel = (ms) =>
  duration(ms)
    .replace(/\.0+ | 00 s$/, " ")
    .replace(/(\.\d*[1-9])0+ /, "$1 ")
    .trim();

class Waterfall {
  constructor(box, axis, state) {
    this.axis = axis;
    this.state = state;
    this.rows = [];
    this.list = new VirtualList(box, 28, (row) => this.makeRow(row));
    new ResizeObserver(() => this.trace && this.drawAxis()).observe(axis);
  }

  /** Show these spans of a trace, given by index, those not among `hits` dimmed. */
  show(trace, rows, hits) {
    this.trace = trace;
    this.rows = rows;
    this.hits = hits;
    this.drawAxis();
    this.list.box.setAttribute("aria-rowcount", rows.length);
    this.list.show(rows.length);
  }

  clear() {
    this.trace = null;
    this.rows = [];
    this.list.show(0);
  }

  /** What stretch of time is in view: all of it, or the span zoomed to. */
  range() {
    const zoomed = this.trace.spans[this.state.zoom];
    if (!zoomed) return [0, Math.max(this.trace.duration, 0.001)];
    return [zoomed.start, zoomed.start + Math.max(zoomed.duration, 0.001)];
  }

  drawAxis() {
    const [from, to] = this.range();
    const rough = (to - from) / Math.max(this.axis.clientWidth / 90, 1);
    const power = 10 ** Math.floor(Math.log10(rough));
    const step = power * (STEPS.find((size) => size * power >= rough) ?? 10);
    this.from = Math.floor(from / step) * step;
    this.length = to - this.from;
    const ticks = [];
    for (let at = 0; at < this.length; at += step) {
      const share = at / this.length;
      const room = (1 - share) * this.axis.clientWidth;
      const tick = element(
        "span",
        { class: "tick" },
        room > LABEL_WIDTH ? tickLabel(this.from + at) : "",
      );
      tick.style.left = `${share * 100}%`;
      ticks.push(tick);
    }
    this.axis.replaceChildren(...ticks);
    this.list.box.style.setProperty("--tick", `${(step / this.length) * 100}%`);
  }

  makeRow(row) {
    const index = this.rows[row];
    const span = this.trace.spans[index];
    const open = span.last > index ? !this.state.closed.has(index) : null;
    const chosen = this.state.span === index;
    const made = element(
      "div",
      {
        class: `span ${this.hits && !this.hits.has(index) ? "dim" : ""}`,
        id: `span-${span.id}`,
        role: "row",
        "data-kind": span.kind,
        "data-status": span.status,
        "aria-level": span.depth + 1,
        "aria-rowindex": row + 1,
        "aria-expanded": open === null ? null : String(open),
        "aria-selected": String(chosen),
      },
      this.makeName(span, open),
      element("span", { class: "tokens", role: "gridcell" }, tokens(span.tokens)),
      this.makeBar(span),
    );
    return made;
  }

  makeName(span, open) {
    const cell = element(
      "span",
      { class: "name", role: "gridcell", title: span.name },
      element(
        "span",
        { class: "twist", "aria-hidden": "true" },
        open === null ? "" : open ? "▾" : "▸",
      ),
      element("span", { class: "kind" }, KINDS[span.kind]),
      element("span", { class: "text" }, span.name),
      span.status === "error" && element("span", { class: "cross", title: span.message }, "✗"),
    );
    cell.style.paddingLeft = `${6 + Math.min(span.depth, 24) * 14}px`;
    return cell;
  }

  makeBar(span) {
    const left = ((span.start - this.from) / this.length) * 100;
    const width = (span.duration / this.length) * 100;
    const bar = element("span", { class: "bar" });
    bar.style.left = `${left}%`;
    bar.style.width = `${width}%`;
    const label = element("span", { class: "length" }, duration(span.duration));
    const right = left + width;
    const share = (LABEL_WIDTH / Math.max(this.axis.clientWidth, 1)) * 100;
    if (right + share < 100) label.style.left = `calc(${right}% + 6px)`;
    else if (left > share) label.style.right = `calc(${100 - left}% + 6px)`;
    else {
      label.style.right = `max(8px, calc(${100 - right}% + 8px))`;
      label.classList.add("inside");
    }
    return element("span", { class: "time", role: "gridcell" }, bar, label);
  }
}
