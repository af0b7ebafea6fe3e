"""The report of a night: a record (JSON), a page, and a line in the file of nights."""

import html
import json
import os
import platform
import time

LATENCIES = [
    ("attach", "attach_task or attach_pid"), ("hold", "control(STOP) until the task is held"),
    ("report", "control(REPORT or INTERRUPT) until the callback"), ("barrier", "barrier"),
    ("detach", "control(DETACH), with the barrier if one is needed"), ("death", "SIGKILL of a held task until it is dead"),
]


def record(runs, began, seed, options, progress):
    """All that the page shows. Plain data."""
    latencies = {name: {"worst_ns": 0, "by_log2_ns": []} for name, _ in LATENCIES}
    callbacks, calls, injected = {}, {}, {}
    recorded = []
    for outcome in runs.outcomes:
        result = outcome.result
        for name, found in result.get("latencies", {}).items():
            total = latencies[name]
            total["worst_ns"] = max(total["worst_ns"], found["worst_ns"])
            counts = found["by_log2_ns"]
            total["by_log2_ns"] += [0] * (len(counts) - len(total["by_log2_ns"]))
            for i, count in enumerate(counts):
                total["by_log2_ns"][i] += count
        for name, count in result.get("callbacks", {}).items():
            callbacks[name] = callbacks.get(name, 0) + count
        for name, results in result.get("calls", {}).items():
            for value, count in results.items():
                calls.setdefault(name, {}).setdefault(value, 0)
                calls[name][value] += count
        for kind, count in outcome.faults.items():
            entry = injected.setdefault(kind, {"injected": 0, "runs": 0, "failed": 0})
            entry["injected"] += count
            entry["runs"] += 1
            entry["failed"] += bool(outcome.problems)
        recorded.append({
            "name": outcome.name, "only": outcome.only, "seed": outcome.seed, "flags": outcome.flags, "status": outcome.status,
            "events": result.get("events", 0), "tasks": result.get("tasks", 0),
            "most_tasks": result.get("most_tasks", 0), "engines": result.get("attached", 0),
            "seconds": round(result.get("seconds", 0), 2), "resident_kib": result.get("resident_kib", 0),
            "problems": outcome.problems, "history": outcome.history, "not_here": result.get("not here", ""),
        })
    return {
        "began": began.isoformat(timespec="seconds"), "seed": seed, "minutes": round((time.monotonic() - progress.start) / 60, 2),
        "implementation": options.implementation or "//core:libutrace.so",
        "machine": f"{platform.machine()}, {os.cpu_count()} processors, Linux {platform.release()}",
        **runs.totals, "engines": sum(run["engines"] for run in recorded), "runs": recorded, "callbacks": callbacks,
        "calls": calls, "faults_by_kind": injected, "latencies": latencies,
    }


def add_night(path, night):
    """Adds the night's figures to the file of nights; all nights in it."""
    figures = {key: night[key] for key in ("began", "seed", "minutes", "events", "tasks", "faults", "failed", "machine")}
    figures["worst_ns"] = {name: found["worst_ns"] for name, found in night["latencies"].items()}
    with open(path, "a", encoding="utf-8") as file:
        file.write(json.dumps(figures) + "\n")
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file if line.strip()]


def command_of(run):
    """Repeats one run."""
    return f"bazel run //stress:nightly -- --only {run['only']} --seed {run['seed']} --minutes 0.1"


def duration(nanoseconds):
    for unit, size in (("s", 1e9), ("ms", 1e6), ("µs", 1e3)):
        if nanoseconds >= size:
            return f"{nanoseconds / size:.3g} {unit}"
    return f"{nanoseconds} ns"


def text(night):
    """What is printed at the end."""
    lines = [f"{night['events']:,} events of {night['tasks']:,} tasks to {night['engines']:,} engines in "
             f"{night['minutes']} minutes, {len(night['runs'])} runs; {night['failed']} failed"]
    for kind, counts in sorted(night["faults_by_kind"].items()):
        lines.append(f"  {counts['injected']:>8,}  {kind}" + (f"  ({counts['failed']} runs FAILED)" if counts["failed"] else ""))
    lines.append(f"  {night['faults']:>8,}  faults in all")
    for run in night["runs"]:
        if run["not_here"]:
            lines.append(f"not here: {run['name']}: {run['not_here']}")
        if run["problems"]:
            lines.append(f"FAILED {run['name']}: {run['problems'][0]}")
            lines.append(f"  again: {command_of(run)}")
    return "\n".join(lines)


def _bars(counts):
    """A histogram over powers of two of nanoseconds, as SVG."""
    if not counts:
        return "<p>none</p>"
    first = next((i for i, count in enumerate(counts) if count), 0)
    shown = counts[first:]
    most = max(shown)
    width, height, bar = 26 * len(shown) + 10, 110, 22
    parts = [f'<svg viewBox="0 0 {width} {height + 34}" width="{width}" role="img">']
    for i, count in enumerate(shown):
        size = height * count / most
        label = duration(2 ** (first + i - 1) if first + i else 0)
        parts.append(f'<rect x="{5 + 26 * i}" y="{height - size:.1f}" width="{bar}" height="{size:.1f}"><title>'
                     f'from {label}: {count:,}</title></rect>')
        if i % 3 == 0:
            parts.append(f'<text x="{5 + 26 * i}" y="{height + 16}">{label}</text>')
    parts.append("</svg>")
    return "".join(parts)


def _line(values, labels):
    """A curve over nights or runs, as SVG, from zero."""
    if len(values) < 2:
        return "<p>a curve needs two of them</p>"
    width, height = 680, 120
    most = max(values) or 1
    points = " ".join(f"{10 + (width - 20) * i / (len(values) - 1):.1f},{10 + height - height * value / most:.1f}"
                      for i, value in enumerate(values))
    return (f'<svg viewBox="0 0 {width} {height + 40}" role="img"><polyline points="{points}"/>'
            f'<text x="10" y="{height + 30}">{html.escape(labels[0])}</text>'
            f'<text x="{width - 10}" y="{height + 30}" text-anchor="end">{html.escape(labels[-1])}</text>'
            f'<text x="10" y="10">at most {most:,}</text></svg>')


def _table(head, rows):
    cells = "".join(f"<th>{html.escape(word)}</th>" for word in head)
    body = "".join("<tr>" + "".join(f"<td>{html.escape(str(cell))}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<div class=wide><table><tr>{cells}</tr>{body}</table></div>"


STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; max-width: 60rem; margin: 1rem auto; padding: 0 1rem; color: #1b2330; }
h1 { font-size: 1.4rem } h2 { font-size: 1.1rem; margin-top: 2rem }
table { border-collapse: collapse } th, td { text-align: left; padding: .2rem .7rem; border-bottom: 1px solid #d5dae2 }
td { font-variant-numeric: tabular-nums } .wide { overflow-x: auto }
.good { color: #17653a } .bad { color: #a11d1d } code { background: #eef1f5; padding: .1rem .3rem; overflow-wrap: anywhere }
svg { max-width: 100% } rect { fill: #3b6ea8 } polyline { fill: none; stroke: #3b6ea8; stroke-width: 2 } text { font-size: 11px }
pre { white-space: pre-wrap; background: #eef1f5; padding: .6rem }
@media print { body { max-width: none } }
"""


def page(night, nights):
    bad = [run for run in night["runs"] if run["problems"]]
    verdict = ("<p class=bad>" + f"{len(bad)} of {len(night['runs'])} runs failed.</p>" if bad else
               f"<p class=good>All {len(night['runs'])} runs are right: no breach, nothing lost or doubled, nothing left "
               "behind, every program ended as untraced.</p>")
    failures = "".join(
        f"<h3>{html.escape(run['name'])}, seed {run['seed']}</h3><pre>{html.escape(chr(10).join(run['problems']))}</pre>"
        f"<p>Again: <code>{html.escape(command_of(run))}</code>"
        + (f"; its history: <code>{html.escape(run['history'])}</code>" if run["history"] else "") + "</p>" for run in bad)
    seconds = night["minutes"] * 60 or 1
    parts = [
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>",
        f"<title>utrace: night of {night['began']}</title><style>{STYLE}</style>",
        f"<h1>Night of storms, {night['began']}</h1>{verdict}",
        _table(["events", "tasks", "engines", "faults", "minutes", "events/s", "seed"],
               [[f"{night['events']:,}", f"{night['tasks']:,}", f"{night['engines']:,}", f"{night['faults']:,}",
                 night["minutes"], f"{night['events'] / seconds:,.0f}", night["seed"]]]),
        f"<p>{html.escape(night['implementation'])} on {html.escape(night['machine'])}.</p>",
        ("<h2>Failures</h2>" + failures) if bad else "",
        "<h2>Faults injected</h2>",
        _table(["kind", "injected", "runs", "runs that failed"],
               [[kind, f"{counts['injected']:,}", counts["runs"], counts["failed"]]
                for kind, counts in sorted(night["faults_by_kind"].items())]),
        "<h2>How long things took</h2>",
    ]
    for name, meaning in LATENCIES:
        found = night["latencies"][name]
        count = sum(found["by_log2_ns"])
        parts.append(f"<h3>{meaning}</h3><p>{count:,} times, at worst {duration(found['worst_ns'])}.</p>"
                     + _bars(found["by_log2_ns"]))
    parts += [
        "<h2>Callbacks</h2>", _table(["callback", "number"], [[name, f"{count:,}"] for name, count
                                                             in sorted(night["callbacks"].items())]),
        "<h2>Calls</h2>", _table(["call", "result", "number"], [[name, value, f"{count:,}"] for name, results
                                                               in sorted(night["calls"].items())
                                                               for value, count in sorted(results.items())]),
        "<h2>Memory of the tracing process at the end of each run, in KiB</h2>",
        _line([run["resident_kib"] for run in night["runs"] if run["resident_kib"]] or [0], ["first run", "last run"]),
        "<h2>Runs</h2>",
        _table(["run", "seed", "events", "tasks", "at once", "engines", "s", "status", ""],
               [[run["name"], run["seed"], f"{run['events']:,}", f"{run['tasks']:,}", run["most_tasks"],
                 f"{run['engines']:,}", run["seconds"], run["status"], "FAILED" if run["problems"] else run["not_here"]]
                for run in night["runs"]]),
        f"<h2>The last {len(nights)} nights</h2>",
        "<h3>Events</h3>", _line([one["events"] for one in nights], [nights[0]["began"], nights[-1]["began"]]),
        "<h3>Worst time to hold a task, in µs</h3>",
        _line([one["worst_ns"]["hold"] // 1000 for one in nights], [nights[0]["began"], nights[-1]["began"]]),
        _table(["night", "minutes", "events", "tasks", "faults", "failed", "seed"],
               [[one["began"], one["minutes"], f"{one['events']:,}", f"{one['tasks']:,}", f"{one['faults']:,}",
                 one["failed"], one["seed"]] for one in reversed(nights)]),
        "</html>",
    ]
    return "".join(parts)
