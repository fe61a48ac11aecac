"""What a run leaves in its folder: figures as Markdown and JSON, the time line as CSV and as a plot."""

import csv
import json
import xml.sax.saxutils


class Figures:
    """Rows of one table, printed when they are known and written at the end."""

    def __init__(self, folder):
        self.folder = folder
        self.rows = []

    def add(self, what, value, note=""):
        self.rows.append({"what": what, "value": value, "note": note})
        print(f"    {what}: {value}{f' ({note})' if note else ''}", flush=True)
        self.write()

    def write(self):
        lines = ["| what | value | note |", "|---|---|---|"]
        lines += [f"| {row['what']} | {row['value']} | {row['note']} |" for row in self.rows]
        (self.folder / "figures.md").write_text("\n".join(lines) + "\n", "utf-8")
        (self.folder / "figures.json").write_text(json.dumps(self.rows, indent=1) + "\n", "utf-8")


def write_csv(path, rows):
    with path.open("w", newline="", encoding="utf-8") as out:
        writer = csv.DictWriter(out, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


WIDTH, PANEL, LEFT, RIGHT, GAP = 900, 130, 70, 20, 34
COLORS = ("#2563eb", "#d97706", "#059669")


def nice_top(value):
    """The least 1, 2 or 5 times a power of ten that is not below the value."""
    step = 1e-3
    while True:
        for factor in (1, 2, 5):
            if step * factor >= value:
                return step * factor
        step *= 10


def panel(title, rows, series, top_y, span, marks):
    """One plot over time: series are (column, label, stepped)."""
    values = [row[column] for row in rows for column, _, _ in series if row[column] is not None]
    most = nice_top(max(values, default=1) or 1)

    def x(seconds):
        return LEFT + (WIDTH - LEFT - RIGHT) * seconds / span

    def y(value):
        return top_y + PANEL - PANEL * value / most

    parts = [f'<text x="{LEFT}" y="{top_y - 8}" class="title">{xml.sax.saxutils.escape(title)}</text>']
    for share in (0, 0.5, 1):
        parts.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(most * share):.1f}" y2="{y(most * share):.1f}" class="grid"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{y(most * share) + 4:.1f}" text-anchor="end">{most * share:g}</text>')
    for seconds, label in marks:
        parts.append(f'<line x1="{x(seconds):.1f}" x2="{x(seconds):.1f}" y1="{top_y}" y2="{top_y + PANEL}" class="mark">'
                     f"<title>{xml.sax.saxutils.escape(label)}</title></line>")
    for index, (column, label, stepped) in enumerate(series):
        color = COLORS[index]
        points, last = [], None
        for row in rows:
            if row[column] is None:
                continue
            at = (x(row["seconds"]), y(row[column]))
            if stepped and last is not None:
                points.append(f"{at[0]:.1f},{last:.1f}")
            points.append(f"{at[0]:.1f},{at[1]:.1f}")
            last = at[1]
        parts.append(f'<polyline points="{" ".join(points)}" fill="none" stroke="{color}" stroke-width="2"/>')
        parts.append(f'<text x="{WIDTH - RIGHT}" y="{top_y - 8 - 14 * index}" text-anchor="end" fill="{color}">{xml.sax.saxutils.escape(label)}</text>')
    return "\n".join(parts)


def write_plot(path, title, rows, panels, marks=()):
    """panels: (title, [(column, label, stepped)…]); rows have `seconds` from the load's start."""
    span = max(row["seconds"] for row in rows) or 1
    height = 40 + len(panels) * (PANEL + GAP) + 30
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">',
        f"<title>{xml.sax.saxutils.escape(title)}</title>",
        "<style>svg{background:#fff;font:12px sans-serif}.title{font-weight:bold}.grid{stroke:#ddd}"
        ".mark{stroke:#b91c1c;stroke-dasharray:4 3}</style>",
    ]
    top = 44
    for name, series in panels:
        parts.append(panel(name, rows, series, top, span, marks))
        top += PANEL + GAP
    step = nice_top(span / 8)
    seconds = 0
    while seconds <= span:
        at = LEFT + (WIDTH - LEFT - RIGHT) * seconds / span
        parts.append(f'<text x="{at:.1f}" y="{top - GAP + 16}" text-anchor="middle">{seconds:g} s</text>')
        seconds += step
    parts.append("</svg>\n")
    path.write_text("\n".join(parts), "utf-8")
