"""The compose file against the schema of the compose specification, and its parts against each other."""

import subprocess
from pathlib import Path

import yaml

FILE = "infra/deploy/compose.yaml"


def findings(root: Path) -> list[str]:
    command = ["check-jsonschema", "--builtin-schema", "vendor.compose-spec", root / FILE]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        return [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
    text = yaml.safe_load((root / FILE).read_text())
    services, volumes = text["services"], set(text["volumes"])
    found = []
    for name, service in services.items():
        found += [f"{name}: waits for {other}, which is no service"
                  for other in service.get("depends_on", {}) if other not in services]
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            if source.startswith("."):
                if not (root / FILE).parent.joinpath(source).exists():
                    found.append(f"{name}: there is no file {source}")
            elif source not in volumes:
                found.append(f"{name}: there is no volume {source}")
        if not (service["image"].startswith("logystera:") or service["image"].count(":") == 1):
            found.append(f"{name}: the image {service['image']} has no version")
    ports = [p.rsplit(":", 1)[0] for s in services.values() for p in s.get("ports", [])]
    found += [f"{port} is published twice" for port in set(ports) if ports.count(port) > 1]
    found += [f"{port} is open to other machines" for port in ports if not port.startswith("127.0.0.1:")]
    for role in ("gateway", "processor", "alerter"):
        own = [s for s in services.values() if s.get("command", [""])[0] == role]
        names = {s["environment"]["LOGYSTERA_INSTANCE"] for s in own}
        if len(own) < 2 or len(names) != len(own):
            found.append(f"{role}: {len(own)} processes under {len(names)} names")
    return found
