"""The queries of the dashboards, ready to be run."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DASHBOARDS = sorted((ROOT / "monitoring/dashboards").glob("*.json"))
BUILT_IN = {"__rate_interval", "__interval"}
# What `All` comes to where it is all values there are: tests call everything so.
ALL = "podsense"
# Begins of series that are not PodSense's own, and what a panel's description calls where they come from.
SOURCES = {"kube": "kube-state-metrics", "container": "cAdvisor", "envoy": "Envoy", "nginx": "ingress-nginx",
           "traefik": "Traefik", "certmanager": "cert-manager", "podsense_tls": "tls.secretName"}


def documented():
    """(page, query) of each PromQL query in README and docs/: of blocks, where a line that begins with a blank
    continues the one before, and of code within sentences that calls a function of a series."""
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]:
        text, name = page.read_text("utf-8"), str(page.relative_to(ROOT))
        for block in re.findall(r"^```promql\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
            for query in re.sub(r"\n +", " ", block).splitlines():
                yield name, query
        for code in re.findall(r"`([^`\n]+)`", re.sub(r"(?s)```.*?```", "", text)):
            if re.match(r"(?:sum|max|min|avg|rate|increase|histogram_\w+)\b.*\(", code) and "{app=" not in code:  # LogQL
                yield name, code


def foreign(query):
    """The sources of others' series in a query."""
    return {what for series, what in SOURCES.items() if re.search(rf"\b{series}_", query)}


def queries(board, kind=None):
    """(where, query) of panels and annotations; `kind`: of these data sources only."""
    for panel in board["panels"]:
        for target in panel.get("targets", []):
            if kind in (None, target["datasource"]["type"]):
                yield panel["title"], target["expr"]
    for annotation in board["annotations"]["list"]:
        if kind in (None, annotation["datasource"]["type"]):
            yield "annotation " + annotation["name"], annotation["expr"]


def filled_in(board, query, interval="1m", chosen=None):
    """As Grafana sends it with everything chosen: what is typed has its default; `chosen`: variable → value."""
    for variable in board["templating"]["list"]:
        value = (variable["allValue"] or ALL) if variable["type"] == "query" else str(variable.get("query", ""))
        value = (chosen or {}).get(variable["name"], value)
        query = re.sub(r"\$(?:%s\b|\{%s\})" % ((variable["name"],) * 2), value, query)
    return re.sub(r"\$__(rate_)?interval", interval, query)
