"""Alert rules and dashboard: each expression parses, asks for documented metrics by their labels, and leads to a way out."""

import json
import re
from pathlib import Path

import promql_parser
import yaml

GUIDE = "docs/running.md"
RULES = "infra/deploy/prometheus/alerts.yaml"
DASHBOARD = "infra/deploy/grafana/logystera.json"
# Prometheus' own.
TARGET_LABELS = {"instance"}
PLAIN_UNITS = {"short", "s", "bytes", "cps", "reqps", "percentunit"}
SEVERITIES = {"critical", "warning"}
FILTERS = {"humanize", "humanize1024", "humanizeDuration", "humanizePercentage"}
RATES = {"rate", "increase", "irate"}
# Stands for the labels of a metric that is not there: one finding is enough.
UNKNOWN = "?"


def documented(root: Path) -> dict[str, set[str]]:
    """Metrics of the guide's table, with their labels. `name_seconds` and `name_requests` are histograms or gauges, `_total` counters."""
    rows = re.findall(r"^\| `(logystera_\w+)(?:\{([\w, ]+)\})?`", (root / GUIDE).read_text(), re.MULTILINE)
    return {name: {label.strip() for label in labels.split(",") if label.strip()} for name, labels in rows}


class Query:
    """An expression and what is wrong with it."""

    def __init__(self, text: str, metrics: dict[str, set[str]]):
        self.metrics, self.wrong, self.labels = metrics, [], set(TARGET_LABELS)
        # Grafana puts these in before Prometheus sees the expression.
        text = text.replace("$__rate_interval", "5m").replace("$app", ".*")
        try:
            self.visit(promql_parser.parse(text), None)
        except ValueError as error:
            self.wrong.append(f"{error} in {text!r}")
            self.labels.add(UNKNOWN)

    def visit(self, node, call: str | None) -> set[str]:
        """Checks a part within a call; returns the labels that its series have."""
        if isinstance(node, promql_parser.MatrixSelector):
            return self.selector(node.vector_selector, call, ranged=True)
        if isinstance(node, promql_parser.VectorSelector):
            return self.selector(node, call, ranged=False)
        if isinstance(node, promql_parser.Call):
            call = node.func.name
        if isinstance(node, promql_parser.BinaryExpr) and str(node.op) == "unless":
            # A counter that was not there before is told as it is.
            call = "unless"
        below = set()
        for name in ("lhs", "rhs", "expr"):
            if getattr(node, name, None) is not None:
                below |= self.visit(getattr(node, name), call)
        for part in getattr(node, "args", None) or []:
            below |= self.visit(part, call)
        if isinstance(node, promql_parser.AggregateExpr) and node.modifier is not None:
            self.wrong += [f"no metric in it has the label {label!r}: {node.prettify()}"
                           for label in node.modifier.labels if label not in below and UNKNOWN not in below]
        return below

    def selector(self, selector, call: str | None, ranged: bool) -> set[str]:
        name = selector.name or ""
        base = re.sub(r"_(bucket|sum|count)$", "", name) if name not in self.metrics else name
        if base not in self.metrics:
            self.wrong.append(f"no metric {name}: {GUIDE} tells all of them")
            self.labels.add(UNKNOWN)
            return {UNKNOWN}
        labels = self.metrics[base] | TARGET_LABELS | ({"le"} if name.endswith("_bucket") else set())
        self.labels |= labels
        self.wrong += [f"{name} has no label {m.name!r}" for m in selector.matchers.matchers if m.name not in labels]
        counts = name.endswith(("_total", "_bucket", "_count", "_sum"))
        if counts != (call in RATES) and call != "unless":
            self.wrong.append(f"{name}: {'a counter wants' if counts else 'a gauge has no'} rate or increase")
        if ranged and call is None:
            self.wrong.append(f"{name}: a range that no function takes")
        return labels


def anchors(page: str) -> set[str]:
    """As a page's headings are linked to: lower case, words joined by `-`."""
    heads = re.findall(r"^#+ (.+)$", page, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


def templates(text: str, labels: set[str]) -> list[str]:
    wrong = []
    for inner in re.findall(r"\{\{(.*?)\}\}", text):
        value, *filters = (part.strip() for part in inner.split("|"))
        label = re.fullmatch(r"\$labels\.(\w+)", value)
        if value != "$value" and not (label and (label[1] in labels or UNKNOWN in labels)):
            wrong.append(f"{{{{{inner}}}}} is nothing that the expression gives")
        wrong += [f"no function {name}" for name in filters if name not in FILTERS]
    if text.count("{{") != text.count("}}"):
        wrong.append(f"braces do not match: {text}")
    return wrong


def rule_findings(root: Path, metrics: dict[str, set[str]]) -> list[str]:
    found, names = [], set()
    for group in yaml.safe_load((root / RULES).read_text())["groups"]:
        if set(group) != {"name", "rules"}:
            found.append(f"group {group.get('name')}: expected name and rules, found {sorted(group)}")
        for rule in group["rules"]:
            name, notes = rule.get("alert", "?"), rule.get("annotations", {})
            query = Query(rule["expr"], metrics)
            wrong = query.wrong
            if unknown := set(rule) - {"alert", "expr", "for", "labels", "annotations"}:
                wrong.append(f"unknown: {sorted(unknown)}")
            if not re.fullmatch(r"\d+[smhd]", rule.get("for", "0s")):
                wrong.append(f"for: {rule['for']}")
            if rule.get("labels", {}).get("severity") not in SEVERITIES or name in names:
                wrong.append("the severity is critical or warning, the name its own")
            if set(notes) != {"summary", "description", "runbook"}:
                wrong.append(f"annotations: expected summary, description, runbook, found {sorted(notes)}")
            for note in notes.values():
                wrong += templates(note, query.labels)
            page, _, anchor = notes.get("runbook", "").partition("#")
            if not (root / page).is_file() or anchor not in anchors((root / page).read_text()):
                wrong.append(f"{page} has no heading #{anchor}")
            names.add(name)
            found += [f"{name}: {what}" for what in wrong]
    if len(names) < 10:
        found.append(f"only {len(names)} rules: they were not found")
    return found


def overlap(a: dict, b: dict) -> bool:
    return a["x"] < b["x"] + b["w"] and b["x"] < a["x"] + a["w"] and a["y"] < b["y"] + b["h"] and b["y"] < a["y"] + a["h"]


def panel_findings(root: Path, metrics: dict[str, set[str]]) -> list[str]:
    dashboard, found = json.loads((root / DASHBOARD).read_text()), []
    panels = dashboard["panels"]
    if len({p["id"] for p in panels}) != len(panels):
        found.append("two panels have one id")
    if [v["type"] for v in dashboard["templating"]["list"]][:1] != ["datasource"]:
        found.append("the first variable is the data source")
    shown = set()
    for n, panel in enumerate(panels):
        wrong = [f"it lies over {other['title']}" for other in panels[:n] if overlap(panel["gridPos"], other["gridPos"])]
        if panel["type"] != "row":
            defaults = panel["fieldConfig"]["defaults"]
            if len(panel.get("description", "")) < 40:
                wrong.append("it does not say what to do")
            if defaults.get("unit") not in PLAIN_UNITS or "thresholds" not in defaults:
                wrong.append("it has no unit, or no thresholds")
            for target in panel["targets"]:
                query = Query(target["expr"], metrics)
                legend = set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))
                wrong += query.wrong + [f"the legend has {label!r}" for label in legend - query.labels if UNKNOWN not in query.labels]
                shown |= set(re.findall(r"logystera_\w+", target["expr"]))
            if {panel["datasource"]["uid"], *(t["datasource"]["uid"] for t in panel["targets"])} != {"${datasource}"}:
                wrong.append("its data source is not the variable")
        found += [f"{panel['title']}: {what}" for what in wrong]
    if len(shown) < 20:
        found.append(f"only {len(shown)} metrics are shown: they were not found")
    return found


def findings(root: Path) -> list[str]:
    metrics = documented(root)
    if len(metrics) < 20:
        return [f"{GUIDE} tells only {sorted(metrics)}: its table was not found"]
    return [f"{RULES}: {f}" for f in rule_findings(root, metrics)] + [f"{DASHBOARD}: {f}" for f in panel_findings(root, metrics)]
