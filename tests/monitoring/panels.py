"""The queries of the dashboards, ready to be run."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DASHBOARDS = sorted((ROOT / "monitoring/dashboards").glob("*.json"))
BUILT_IN = {"__rate_interval", "__interval"}


def queries(board, kind=None):
    """(where, query) of panels and annotations; `kind`: of these data sources only."""
    for panel in board["panels"]:
        for target in panel.get("targets", []):
            if kind in (None, target["datasource"]["type"]):
                yield panel["title"], target["expr"]
    for annotation in board["annotations"]["list"]:
        if kind in (None, annotation["datasource"]["type"]):
            yield "annotation " + annotation["name"], annotation["expr"]


def filled_in(board, query, interval="1m"):
    """As Grafana sends it with everything chosen: what is typed has its default."""
    for variable in board["templating"]["list"]:
        value = variable["allValue"] if variable["type"] == "query" else str(variable.get("query", ""))
        query = re.sub(r"\$(?:%s\b|\{%s\})" % ((variable["name"],) * 2), value, query)
    return re.sub(r"\$__(rate_)?interval", interval, query)
