"""The manifests: each object against the schemas of Kubernetes, and the objects against each other."""

import os
import subprocess
from pathlib import Path

import kubernetes_validate
import tomllib
import yaml

# The oldest release that the manifests promise to run on (`preStop.sleep`), and the newest whose schemas are at hand.
VERSIONS = ("1.30", "1.37")
# Partitions that one process may own: PARTITIONS_OWNED_MAX in schemas/src/limits.rs.
OWNED_MAX = 16
# Given by whoever runs it, see infra/deploy/README.md.
SECRETS = {"logystera"}
RESOURCES = "infra/deploy/kubernetes"


def overlays(root: Path) -> list[Path]:
    return sorted(p.parent for p in (root / RESOURCES / "overlays").glob("*/kustomization.yaml"))


def render(overlay: Path) -> list[dict]:
    """The objects of an overlay. Raises RuntimeError with kustomize's words."""
    done = subprocess.run([os.environ["KUSTOMIZE"], "build", overlay], capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(done.stderr.strip())
    return list(yaml.safe_load_all(done.stdout))


def findings(root: Path) -> list[str]:
    found = []
    folders = overlays(root)
    if len(folders) < 2:
        found.append(f"only {len(folders)} overlays: they were not found")
    for folder in folders:
        try:
            objects = render(folder)
        except RuntimeError as error:
            found.append(f"{folder.name}: {error}")
            continue
        found += [f"{folder.name}: {f}" for f in by_schema(objects) + by_reference(objects) + by_policy(objects)]
    return found


def named(thing: dict) -> str:
    return f"{thing['kind']} {thing['metadata']['name']}"


def by_schema(objects: list[dict]) -> list[str]:
    found = []
    for thing in objects:
        for version in VERSIONS:
            try:
                kubernetes_validate.validate(thing, version, strict=True)
            except kubernetes_validate.ValidationError as error:
                found.append(f"{named(thing)} ({version}): {error.message} at {'.'.join(map(str, error.path))}")
            except kubernetes_validate.SchemaNotFoundError:
                found.append(f"{named(thing)} ({version}): no such kind in {thing['apiVersion']}")
    return found


def of(objects: list[dict], *kinds: str) -> list[dict]:
    return [o for o in objects if o["kind"] in kinds]


def matches(selector: dict, labels: dict) -> bool:
    return bool(selector) and all(labels.get(k) == v for k, v in selector.items())


def by_reference(objects: list[dict]) -> list[str]:
    """What one object says of another: selectors, ports, names."""
    found = []
    workloads = of(objects, "Deployment", "StatefulSet")
    labels = {w["metadata"]["name"]: w["spec"]["template"]["metadata"]["labels"] for w in workloads}
    maps = {m["metadata"]["name"] for m in of(objects, "ConfigMap")}
    services = {s["metadata"]["name"] for s in of(objects, "Service")}
    for workload in workloads:
        name, spec, pod = named(workload), workload["spec"], workload["spec"]["template"]["spec"]
        own = spec["template"]["metadata"]["labels"]
        if not matches(spec["selector"]["matchLabels"], own):
            found.append(f"{name}: its selector does not select its Pods")
        if sum(matches(spec["selector"]["matchLabels"], other) for other in labels.values()) != 1:
            found.append(f"{name}: its selector selects other Pods too")
        if workload["kind"] == "StatefulSet" and spec["serviceName"] not in services:
            found.append(f"{name}: there is no Service {spec['serviceName']}")
        for spread in pod.get("topologySpreadConstraints", []):
            if not matches(spread["labelSelector"]["matchLabels"], own):
                found.append(f"{name}: it spreads other Pods")
        volumes = {v["name"]: v for v in pod.get("volumes", [])}
        for volume in volumes.values():
            if "configMap" in volume and volume["configMap"]["name"] not in maps:
                found.append(f"{name}: there is no ConfigMap {volume['configMap']['name']}")
            if "secret" in volume and volume["secret"]["secretName"] not in SECRETS:
                found.append(f"{name}: nobody is told to make the Secret {volume['secret']['secretName']}")
        for container in pod["containers"] + pod.get("initContainers", []):
            ports = {p["name"] for p in container.get("ports", [])}
            for mount in container.get("volumeMounts", []):
                if mount["name"] not in volumes:
                    found.append(f"{name}: there is no volume {mount['name']}")
            for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
                port = container.get(probe, {}).get("httpGet", {}).get("port")
                if port is not None and port not in ports:
                    found.append(f"{name}: {probe} asks at {port}, which is no port of it")
    for service in of(objects, "Service"):
        behind = [w for w in workloads if matches(service["spec"]["selector"], labels[w["metadata"]["name"]])]
        if len(behind) != 1:
            found.append(f"{named(service)}: it selects the Pods of {len(behind)} workloads")
            continue
        containers = behind[0]["spec"]["template"]["spec"]["containers"]
        ports = {p["name"] for c in containers for p in c.get("ports", [])}
        found += [f"{named(service)}: no port {p['targetPort']} behind it"
                  for p in service["spec"]["ports"] if p["targetPort"] not in ports]
    for thing in of(objects, "PodDisruptionBudget", "NetworkPolicy"):
        selector = thing["spec"].get("selector") or thing["spec"].get("podSelector")
        if not any(matches(selector["matchLabels"], own) for own in labels.values()):
            found.append(f"{named(thing)}: it selects nothing")
    for scaler in of(objects, "HorizontalPodAutoscaler"):
        target = scaler["spec"]["scaleTargetRef"]["name"]
        if target not in labels:
            found.append(f"{named(scaler)}: there is no {target}")
    return found


def by_policy(objects: list[dict]) -> list[str]:
    """What we promise of every Pod: no rights, bounded memory, probes, a budget; and no secret in the tree."""
    found = []
    workloads = of(objects, "Deployment", "StatefulSet")
    found += [f"{named(s)}: a Secret's place is not the tree" for s in of(objects, "Secret")]
    replicas = {}
    for workload in workloads:
        name, spec, pod = named(workload), workload["spec"], workload["spec"]["template"]["spec"]
        own = spec["template"]["metadata"]["labels"]
        replicas[own["app.kubernetes.io/component"]] = spec.get("replicas")
        budgets = [b for b in of(objects, "PodDisruptionBudget") if matches(b["spec"]["selector"]["matchLabels"], own)]
        context = pod.get("securityContext", {})
        wanted = {
            "it has one PodDisruptionBudget": len(budgets) == 1,
            "it runs as somebody else than root": context.get("runAsNonRoot") is True,
            "seccomp is RuntimeDefault": context.get("seccompProfile") == {"type": "RuntimeDefault"},
            "it has no token for the API": pod.get("automountServiceAccountToken") is False,
            "it says how long a stop may take": pod.get("terminationGracePeriodSeconds", 0) >= 30,
        }
        for container in pod["containers"] + pod.get("initContainers", []):
            context = container.get("securityContext", {})
            wanted |= {
                f"{container['name']} may not write to its root": context.get("readOnlyRootFilesystem") is True,
                f"{container['name']} gains no rights": context.get("allowPrivilegeEscalation") is False,
                f"{container['name']} has no capabilities": context.get("capabilities") == {"drop": ["ALL"]},
                f"{container['name']}'s memory is bounded": "memory" in container.get("resources", {}).get("limits", {}),
            }
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            wanted[f"it has a {probe}"] = all(probe in c for c in pod["containers"])
        found += [f"{name}: not so: {what}" for what, holds in wanted.items() if not holds]
    return found + room(objects, replicas)


def room(objects: list[dict], replicas: dict) -> list[str]:
    """With one process of a role missing, the others have room for all partitions."""
    found = []
    for text in (m["data"]["logystera.toml"] for m in of(objects, "ConfigMap")):
        kafka = tomllib.loads(text)["kafka"]
        for role, partitions in (("processor", "signals-partitions"), ("alerter", "detections-partitions")):
            places = OWNED_MAX * ((replicas.get(role) or 0) - 1)
            if kafka[partitions] > places:
                found.append(f"{partitions} = {kafka[partitions]}: one {role} down leaves {places} places")
    return found
