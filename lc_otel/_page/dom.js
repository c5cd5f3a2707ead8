// Elements out of text: the one place that makes them, so that no text can become markup.

/** Make an element; strings among the children become text, null and false vanish. */
function element(tag, attributes, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    made.setAttribute(name, value === true ? "" : value);
  }
  made.append(
    ...children.flat().filter((child) => child !== null && child !== undefined && child !== false),
  );
  return made;
}

/** Rows of one height in a scrolling box, of which only those in sight exist. */
class VirtualList {
  constructor(box, rowHeight, makeRow) {
    this.box = box;
    this.rowHeight = rowHeight;
    this.makeRow = makeRow;
    this.length = 0;
    this.space = element("div", { class: "space", role: "presentation" });
    box.append(this.space);
    let waiting = false;
    box.addEventListener("scroll", () => {
      if (waiting) return;
      waiting = true;
      requestAnimationFrame(() => {
        waiting = false;
        this.draw();
      });
    });
    new ResizeObserver(() => this.draw()).observe(box);
  }

  show(length) {
    this.length = length;
    this.space.style.height = `${length * this.rowHeight}px`;
    this.draw();
  }

  draw() {
    const spare = 8;
    const first = Math.max(Math.floor(this.box.scrollTop / this.rowHeight) - spare, 0);
    const inSight = Math.ceil(this.box.clientHeight / this.rowHeight) + 2 * spare;
    const rows = [];
    for (let index = first; index < Math.min(first + inSight, this.length); index++) {
      const row = this.makeRow(index);
      row.style.top = `${index * this.rowHeight}px`;
      row.dataset.row = index;
      rows.push(row);
    }
    this.space.replaceChildren(...rows);
  }

  /** Scroll just so far that a row is in sight, and draw. */
  reveal(index) {
    const top = index * this.rowHeight;
    const { scrollTop, clientHeight } = this.box;
    if (top < scrollTop) this.box.scrollTop = top;
    else if (top + this.rowHeight > scrollTop + clientHeight) {
      this.box.scrollTop = top + this.rowHeight - clientHeight;
    }
    this.draw();
  }

  onPick(pick) {
    this.box.addEventListener("click", (event) => {
      const row = event.target.closest("[data-row]");
      if (row) pick(Number(row.dataset.row), event);
    });
  }
}
