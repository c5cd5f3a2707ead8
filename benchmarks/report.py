"""results.json in, the tables of docs/performance.md and the plot beside them out."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Callable, Mapping
from typing import Any

import matplotlib as mpl
from benchmarks.bridges import BRIDGES
from benchmarks.counting import ROOT
from benchmarks.workloads import WORKLOADS

PAGE = ROOT / "docs" / "performance.md"
PLOT = ROOT / "docs" / "images" / "performance.svg"
PLOTTED = (
    ("floor", "#bbbbbb"),
    ("ours", "#1b6ac9"),
    ("official", "#e8a33d"),
    ("content floor", "#dddddd"),
    ("ours content", "#7fb2f0"),
    ("official content", "#f4cf94"),
    ("traceloop", "#c65f5f"),
    ("langfuse", "#7a9e5f"),
    ("openinference", "#8a6fb0"),
)
UNPLOTTED = {"large", "stream"}  # a hundred times as much, and a hundredth

Results = Mapping[str, Mapping[str, Any]]


def main() -> None:
    """Write both anew."""
    results: Results = json.loads((ROOT / "benchmarks" / "results.json").read_text())
    page = PAGE.read_text(encoding="utf-8")
    for name, build in TABLES.items():
        page = _replace(page, name, build(results))
    PAGE.write_text(page, encoding="utf-8")
    plot(results)


def _replace(page: str, name: str, text: str) -> str:
    pattern = rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)"
    changed, count = re.subn(
        pattern, lambda found: f"{found[1]}{text}\n{found[2]}", page, flags=re.DOTALL
    )
    if count != 1:
        raise ValueError(f"docs/performance.md has {count} places for {name}, expected one")
    return changed


def added(results: Results, bridge: str, workload: str) -> float:
    """Thousands of instructions a bridge adds to one unit of a workload."""
    spent = results["instructions"]
    more = spent[bridge][workload] - spent["none"][workload]
    return more / WORKLOADS[workload].units / 1_000


def build_instructions(results: Results) -> str:
    """Thousands of instructions added: a run, a token."""
    rows = [
        [BRIDGES[bridge].title, *(f"{added(results, bridge, name):,.0f}" for name in WORKLOADS)]
        for bridge in results["instructions"]
        if bridge != "none"
    ]
    return _table(["thousand instructions added", *_titles()], _ordered(rows))


def build_targets(results: Results) -> str:
    """How many times its floor ours costs."""
    rows = []
    for bridge, floor in (
        ("ours", "floor"),
        ("ours content", "content floor"),
        ("ours sampled out", "floor"),
        ("ours", "full floor"),
        ("ours content", "full content floor"),
    ):
        times = (
            added(results, bridge, name) / added(results, floor, name)
            for name in WORKLOADS
            if name != "stream"
        )
        title = f"{BRIDGES[bridge].title} / {BRIDGES[floor].title}"
        rows.append([title, *(f"{time:.2f}" for time in times)])
    return _table(["times the floor", *_titles()[:-1]], rows)


def build_speed(results: Results) -> str:
    """Microseconds of CPU time added: a run, a token; and the peak of memory."""
    speed = results["speed"]
    none = speed["none"]
    rows = []
    for bridge, measured in speed.items():
        if bridge == "none":
            continue
        cpu = (measured["cpu_us"][name] - none["cpu_us"][name] for name in WORKLOADS)
        peak = (measured["peak_kb"] - none["peak_kb"]) / 1024
        rows.append([BRIDGES[bridge].title, *(f"{time:,.0f}" for time in cpu), f"{peak:,.0f}"])
    return _table(["µs of CPU added", *_titles(), "peak memory, MB more"], _ordered(rows))


def build_spans(results: Results) -> str:
    """Spans and bytes of each workload done once."""
    rows = [
        [
            BRIDGES[bridge].title,
            *(f"{told[name]['spans']} / {told[name]['bytes'] / 1_000:,.1f}" for name in WORKLOADS),
        ]
        for bridge, told in results["spans"].items()
        if any(told[name]["spans"] for name in WORKLOADS)
    ]
    titles = [*_titles()[:-1], "1,000-token stream"]
    return _table(["spans / kB of OTLP", *titles], _ordered(rows))


def build_once(results: Results) -> str:
    """Import and set-up, and what is kept after many chains."""
    rows = []
    for bridge, measured in results["imports"].items():
        grown = results["growth"].get(bridge)
        if bridge.endswith(("noop", "floor")) and grown is None:
            continue  # the harness's own
        kept = ["", "", ""]
        if grown is not None:
            kept = [f"{grown['rss_kb']:,}", f"{grown['blocks']:,}", f"{grown['objects']:,}"]
        rows.append([BRIDGES[bridge].title, f"{measured['cpu_ms']:,.0f}", *kept])
    chains = max(grown["chains"] for grown in results["growth"].values())
    after = f"after {chains:,} chains:"
    return _table(
        ["", "import and set-up, ms of CPU", f"{after} kB of memory", "blocks", "objects"],
        _ordered(rows),
    )


def build_versions(results: Results) -> str:
    """When, where and of what."""
    made = results["made"]
    lines = [f"Measured on {made['date']}, Python {made['python']}, {made['machine']}."]
    versions: dict[str, str] = {}
    for packages in made["installed"].values():
        versions.update(packages)
    listed = ", ".join(f"{name} {version}" for name, version in sorted(versions.items()))
    return "\n".join([*lines, f"Installed: {listed}."])


TABLES: Mapping[str, Callable[[Results], str]] = {
    "versions": build_versions,
    "instructions": build_instructions,
    "targets": build_targets,
    "speed": build_speed,
    "spans": build_spans,
    "once": build_once,
}


def _titles() -> list[str]:
    return [workload.title for workload in WORKLOADS.values()]


def _ordered(rows: list[list[str]]) -> list[list[str]]:
    """In the order of BRIDGES, whenever each was measured."""
    titles = [bridge.title for bridge in BRIDGES.values()]
    return sorted(rows, key=lambda row: titles.index(row[0]))


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def plot(results: Results) -> None:
    """Draw the instructions added a run, bridges side by side."""
    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "lc_otel"  # the same picture from the same figures
    from matplotlib import pyplot as plt

    names = [name for name in WORKLOADS if name not in UNPLOTTED]
    shown = [(bridge, colour) for bridge, colour in PLOTTED if bridge in results["instructions"]]
    figure, axes = plt.subplots(figsize=(9, 4.5))
    width = 0.85 / len(shown)
    for index, (bridge, colour) in enumerate(shown):
        places = [place + (index - len(shown) / 2) * width for place in range(len(names))]
        heights = [added(results, bridge, name) for name in names]
        title = BRIDGES[bridge].title
        axes.bar(places, heights, width, label=title, color=colour, align="edge")
    titles = [textwrap.fill(WORKLOADS[name].title.replace("`", ""), 20) for name in names]
    axes.set_xticks(range(len(names)), titles, fontsize=7)
    axes.set_ylabel("thousand instructions added a run")
    axes.legend(fontsize=7, ncols=3)
    axes.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    PLOT.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(PLOT, metadata={"Date": None})
    lines = PLOT.read_text(encoding="utf-8").splitlines()
    PLOT.write_text("".join(f"{line.rstrip()}\n" for line in lines), encoding="utf-8")


if __name__ == "__main__":
    main()
