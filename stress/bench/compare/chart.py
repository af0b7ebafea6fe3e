"""Bar charts of the medians, as SVG files."""

import os

BAR, LABEL, WIDTH, ROW = "#3b6ea8", 170, 720, 22

# File, title, place, work, tracers.
CHARTS = [
    ("getppid.svg", "One getppid call, all on one processor", "pinned", "getppid",
     ["untraced", "utrace --fast", "crash_catcher", "bare loop", "bare loop, info", "1 engine", "8 engines", "strace -f",
      "syscall_log"]),
    ("getppid-free.svg", "One getppid call, where the scheduler puts it", "free", "getppid",
     ["untraced", "bare loop", "1 engine", "8 engines", "strace -f", "syscall_log"]),
    ("works.svg", "tar of a source tree, all on one processor", "pinned", "tar",
     ["untraced", "bare loop", "1 engine", "8 engines", "strace -f", "syscall_log", "8 syscall_log"]),
]


def time_text(nanoseconds):
    for unit, factor in (("s", 1e9), ("ms", 1e6), ("µs", 1e3)):
        if nanoseconds >= factor:
            return "%.3g %s" % (nanoseconds / factor, unit)
    return "%.3g ns" % nanoseconds


def draw(title, bars):
    """`bars`: pairs of a label and nanoseconds."""
    most = max(value for _, value in bars)
    height = 34 + ROW * len(bars)
    parts = ['<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" role="img" '
             'font-family="sans-serif" font-size="12">' % (WIDTH, height, WIDTH),
             "<title>%s</title>" % title, '<rect width="100%" height="100%" fill="#ffffff"/>',
             '<text x="8" y="18" font-weight="bold">%s</text>' % title]
    for row, (label, value) in enumerate(bars):
        top = 28 + ROW * row
        length = max(1, (WIDTH - LABEL - 90) * value / most)
        parts.append('<text x="%d" y="%d" text-anchor="end">%s</text>' % (LABEL - 8, top + 14, label))
        parts.append('<rect x="%d" y="%d" width="%.1f" height="%d" fill="%s"/>' % (LABEL, top + 2, length, ROW - 6, BAR))
        parts.append('<text x="%.1f" y="%d">%s</text>' % (LABEL + length + 6, top + 14, time_text(value)))
    return "\n".join(parts + ["</svg>\n"])


def draw_all(directory, medians):
    """The charts for which there are figures; `medians`: {(place, work, tracer): nanoseconds}."""
    os.makedirs(directory, exist_ok=True)
    for name, title, place, work, shown in CHARTS:
        bars = [(tracer, medians[place, work, tracer]) for tracer in shown if (place, work, tracer) in medians]
        if len(bars) > 1:
            with open(os.path.join(directory, name), "w", encoding="utf-8") as file:
                file.write(draw(title, bars))
