"""Panels, variables and dashboards as Grafana takes them: functions that return dictionaries."""

import re

PROMETHEUS = {"type": "prometheus", "uid": "${datasource}"}
LOKI = {"type": "loki", "uid": "${loki}"}
GREEN, YELLOW, RED = "green", "yellow", "red"


# --- Panels: each function returns a panel without id and place


def query(expr, legend="", **more):
    return {"expr": expr, "legendFormat": legend, **more}


# What has to be scraped beside PodSense for series that begin so.
NEEDS = {
    "kube": "kube-state-metrics",
    "container": "the kubelet's cAdvisor metrics",
    "envoy": "Envoy's statistics (/stats/prometheus)",
    "nginx": "ingress-nginx with its metrics on",
    "traefik": "Traefik with --metrics.prometheus",
    "certmanager": "cert-manager",
    "podsense_tls": "tls.secretName",
}


def needs(queries, any_of):
    """The sentence that says so, or nothing."""
    text = " ".join(target["expr"] for target in queries)
    found = [what for series, what in NEEDS.items() if re.search(rf"\b{series}_", text)]
    if not found:
        return ""
    return f"Needs {'one of: ' if any_of and len(found) > 1 else ''}{', '.join(found)}."


def panel(kind, title, queries, unit="short", description="", source=PROMETHEUS, **more):
    """`any_of`: one of the sources of its queries is enough."""
    targets = []
    for number, target in enumerate(queries):
        targets.append({"datasource": source, "refId": chr(ord("A") + number), **target})
    defaults = {"unit": unit, **more.pop("defaults", {})}
    return {
        "type": kind,
        "title": title,
        "description": f"{description} {needs(queries, more.pop('any_of', False))}".strip(),
        "datasource": source,
        "targets": targets,
        "fieldConfig": {"defaults": defaults, "overrides": more.pop("overrides", [])},
        "options": more.pop("options", {}),
        **more,
    }


def steps(*pairs):
    """steps(GREEN, (0.8, YELLOW), (1, RED))"""
    first, *rest = pairs
    values = [{"color": first, "value": None}]
    values += [{"color": color, "value": value} for value, color in rest]
    return {"mode": "absolute", "steps": values}


def stat(title, expr, unit, thresholds, description="", **defaults):
    return panel(
        "stat",
        title,
        [query(expr, instant=True)],
        unit,
        description,
        defaults={"thresholds": thresholds, "color": {"mode": "thresholds"}, **defaults},
        options={"reduceOptions": {"calcs": ["lastNotNull"]}, "colorMode": "background"},
    )


def lines(title, queries, unit="short", description="", stack=False, thresholds=None, any_of=False, **defaults):
    custom = {"fillOpacity": 20 if stack else 5, "lineWidth": 1, "showPoints": "never"}
    if stack:
        custom["stacking"] = {"mode": "normal", "group": "A"}
    values = {"custom": custom, "min": 0, **defaults}
    if thresholds:
        custom["thresholdsStyle"] = {"mode": "line"}
        values["thresholds"] = thresholds
    legend = {"displayMode": "table", "placement": "bottom", "calcs": ["lastNotNull", "max"]}
    options = {"legend": legend, "tooltip": {"mode": "multi", "sort": "desc"}}
    return panel(
        "timeseries", title, queries, unit, description, defaults=values, options=options, any_of=any_of
    )


def bars(title, queries, description="", **defaults):
    values = {
        "min": 0,
        "max": 1,
        "thresholds": steps(GREEN, (0.7, YELLOW), (0.9, RED)),
        "color": {"mode": "thresholds"},
        **defaults,
    }
    options = {"orientation": "horizontal", "displayMode": "basic", "namePlacement": "left"}
    options["reduceOptions"] = {"calcs": ["lastNotNull"]}
    queries = [{**one, "instant": True} for one in queries]
    return panel(
        "bargauge", title, queries, "percentunit", description, defaults=values, options=options
    )


def heatmap(title, expr, unit, description=""):
    return panel(
        "heatmap",
        title,
        [query(expr, "{{le}}", format="heatmap")],
        unit,
        description,
        options={
            "calculate": False,
            "yAxis": {"unit": unit, "axisPlacement": "left"},
            "color": {"mode": "scheme", "scheme": "Oranges", "steps": 64},
            "cellGap": 1,
            "tooltip": {"mode": "single", "yHistogram": True},
        },
    )


def table(title, expr, columns, description=""):
    """`columns`: label → heading, in order; other labels and the value are left out."""
    return panel(
        "table",
        title,
        [query(expr, instant=True, format="table")],
        description=description,
        transformations=[
            {"id": "filterFieldsByName", "options": {"include": {"names": list(columns)}}},
            {
                "id": "organize",
                "options": {
                    "renameByName": columns,
                    "indexByName": {name: at for at, name in enumerate(columns)},
                },
            },
        ],
    )


def text(title, content):
    return {"type": "text", "title": title, "options": {"mode": "markdown", "content": content}}


def log_lines(title, expr, description=""):
    return panel(
        "logs",
        title,
        [query(expr, queryType="range")],
        description=description,
        source=LOKI,
        options={"showTime": True, "wrapLogMessage": True, "sortOrder": "Descending"},
    )


def log_rates(title, expr, legend, unit="short"):
    made = lines(title, [query(expr, legend, queryType="range")], unit, stack=True)
    made["datasource"] = LOKI
    for target in made["targets"]:
        target["datasource"] = LOKI
    return made


# --- Dashboards


def row(title):
    return {"type": "row", "title": title, "collapsed": False, "panels": []}


def place(rows):
    """`rows`: lists of (panel, width) with a height each, or a title; 24 columns make a line."""
    placed, y = [], 0
    for entry in rows:
        if isinstance(entry, str):
            placed.append({**row(entry), "gridPos": {"h": 1, "w": 24, "x": 0, "y": y}})
            y += 1
            continue
        height, panels = entry
        x = 0
        for one, width in panels:
            placed.append({**one, "gridPos": {"h": height, "w": width, "x": x, "y": y}})
            x += width
        assert x == 24, [one["title"] for one, _ in panels]
        y += height
    for number, one in enumerate(placed, 1):
        one["id"] = number
    return placed


def source_variable(name, kind, label):
    return {"name": name, "label": label, "type": "datasource", "query": kind, "current": {}}


def choice(name, definition, label=None, source=PROMETHEUS, chosen=None, all_value=None, part=None):
    """`chosen`: at first; else all. `all_value`: what All means, else every value there is. `part`: an expression
    whose group is the value. Loki refuses a query whose matchers all take the empty value."""
    current = {"text": [chosen], "value": [chosen]} if chosen else {"text": "All", "value": "$__all"}
    return {
        "name": name,
        "label": label or name,
        "type": "query",
        "datasource": source,
        "definition": definition,
        "query": {"query": definition, "refId": "variable"},
        "refresh": 2,
        "sort": 1,
        "multi": True,
        "includeAll": True,
        "allValue": all_value,
        "regex": f"/^{part}$/" if part else "",
        "current": current,
    }


def number(name, label, value):
    current = {"text": value, "value": value}
    options = [{**current, "selected": True}]
    return {
        "name": name,
        "label": label,
        "type": "textbox",
        "query": value,
        "current": current,
        "options": options,
    }


def annotation(name, expr, color, title):
    return {
        "name": name,
        "datasource": PROMETHEUS,
        "enable": True,
        "expr": expr,
        "iconColor": color,
        "titleFormat": title,
        "step": "30s",
    }


def dashboard(uid, title, description, variables, rows, annotations=()):
    return {
        "uid": f"podsense-{uid}",
        "title": f"PodSense / {title}",
        "description": description,
        "tags": ["podsense"],
        "schemaVersion": 39,
        "version": 1,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": "now-1h", "to": "now"},
        "timezone": "browser",
        "templating": {"list": variables},
        "annotations": {"list": list(annotations)},
        "links": [
            {
                "title": "PodSense",
                "type": "dashboards",
                "tags": ["podsense"],
                "asDropdown": True,
                "keepTime": True,
                "includeVars": True,
            }
        ],
        "panels": place(rows),
    }
