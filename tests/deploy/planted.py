"""Faults, planted one at a time in a copy of the tree. A check that misses one checks nothing."""

import shutil
import tempfile
from pathlib import Path

import compose
import image
import kubernetes
import monitoring
import settings

BASE = "infra/deploy/kubernetes/base"
COPIED = ("infra/deploy", "docs")
COPIED_FILES = ("Cargo.toml",)

# Who must find it, the file, what stands there, what is put in its place (once), and what a finding must say.
FAULTS = [
    (kubernetes, f"{BASE}/gateway.yaml", "terminationGracePeriodSeconds", "terminationGraceSeconds", "terminationGraceSeconds"),
    (kubernetes, f"{BASE}/processor.yaml", "minReadySeconds: 30", 'minReadySeconds: "soon"', "minReadySeconds"),
    (kubernetes, f"{BASE}/alerter.yaml", "apiVersion: apps/v1", "apiVersion: apps/v2", "apps/v2"),
    (kubernetes, f"{BASE}/kustomization.yaml", "network.yaml", "networks.yaml", "networks.yaml"),
    (kubernetes, f"{BASE}/kustomization.yaml", "name: logystera-settings", "name: logystera-setting", "logystera-setting"),
    (kubernetes, f"{BASE}/pod.yaml", "path: /health/ready, port: admin", "path: /health/ready, port: admn", "readinessProbe asks at admn"),
    (kubernetes, f"{BASE}/pod.yaml", "readOnlyRootFilesystem: true", "readOnlyRootFilesystem: false", "may not write to its root"),
    (kubernetes, f"{BASE}/network.yaml", "component: alerter", "component: allerter", "it selects nothing"),
    (kubernetes, f"{BASE}/logystera.toml", "signals-partitions = 16", "signals-partitions = 32", "one processor down"),
    (settings, f"{BASE}/logystera.toml", "log-json =", "log-jsn =", "log-jsn"),
    (settings, "infra/deploy/logystera.toml", "audience =", "audiense =", "audiense"),
    (compose, "infra/deploy/compose.yaml", "start_interval: 1s", "start_intervall: 1s", "start_intervall"),
    (compose, "infra/deploy/compose.yaml", "kafka-3: { condition: service_healthy }", "kafka-4: { condition: service_healthy }", "kafka-4"),
    (compose, "infra/deploy/compose.yaml", "LOGYSTERA_INSTANCE: alerter-2", "LOGYSTERA_INSTANCE: alerter-1", "under 1 names"),
    (image, "infra/deploy/Dockerfile.dockerignore", "!sender\n", "", "keeps out sender"),
    (image, "Cargo.toml", 'members = ["app"', 'members = ["console", "app"', "keeps out console"),
    (monitoring, "infra/deploy/prometheus/alerts.yaml", "sum by (app) (logystera_tasks_failing)", "sum by (app (logystera_tasks_failing)", "unclosed left parenthesis"),
    (monitoring, "infra/deploy/prometheus/alerts.yaml", "absent(logystera_gateway_connections)", "absent(logystera_gateway_conections)", "logystera_gateway_conections"),
    (monitoring, "infra/deploy/prometheus/alerts.yaml", "max by (app, partition)", "max by (app, partitions)", "'partitions'"),
    (monitoring, "infra/deploy/prometheus/alerts.yaml", "increase(logystera_gateway_ticks_missed_total[5m])", "logystera_gateway_ticks_missed_total", "a counter wants"),
    (monitoring, "infra/deploy/prometheus/alerts.yaml", "humanizePercentage", "humanisePercentage", "humanisePercentage"),
    (monitoring, "infra/deploy/prometheus/alerts.yaml", "#lag-grows", "#lag-groes", "#lag-groes"),
    (monitoring, "infra/deploy/grafana/logystera.json", "rate(logystera_commit_seconds_bucket", "rte(logystera_commit_seconds_bucket", "rte"),
    (monitoring, "infra/deploy/grafana/logystera.json", "sum(logystera_alerter_deliveries_waiting)", "sum(logystera_alerter_waiting)", "logystera_alerter_waiting"),
    (monitoring, "infra/deploy/grafana/logystera.json", '"unit": "bytes"', '"unit": "bits"', "no unit"),
]


def missed(root: Path) -> list[str]:
    """The faults that were not found."""
    left = []
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder)
        for part in COPIED:
            shutil.copytree(root / part, copy / part)
        for file in COPIED_FILES:
            shutil.copy(root / file, copy / file)
        for check, path, sound, faulty, says in FAULTS:
            file, text = copy / path, (copy / path).read_text()
            if sound not in text:
                left.append(f"{path} has no {sound!r} to plant a fault in")
                continue
            file.write_text(text.replace(sound, faulty, 1))
            found = check.findings(copy)
            if not any(says in finding for finding in found):
                left.append(f"{path}: {faulty!r} was not found, only {found}")
            file.write_text(text)
    return left
