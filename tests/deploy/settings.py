"""The settings, as the binary itself sees them: the compose file's, and each ConfigMap's with credentials appended."""

import os
import subprocess
import tempfile
from pathlib import Path

from kubernetes import overlays, render

COMPOSE = "infra/deploy/logystera.toml"
# As a Secret's `credentials.toml` goes on where the settings end, see infra/deploy/README.md.
CREDENTIALS = """user = "logystera"
password = "x"

[kafka.properties]
"security.protocol" = "sasl_ssl"
"sasl.mechanism" = "SCRAM-SHA-512"
"sasl.username" = "logystera"
"sasl.password" = "x"
"""


def refused(text: str) -> str:
    """What logystera has against settings; empty where it takes them."""
    with tempfile.NamedTemporaryFile("w", suffix=".toml") as file:
        file.write(text)
        file.flush()
        command = [os.environ["LOGYSTERA"], "gateway", "--config", file.name, "--check-config"]
        done = subprocess.run(command, capture_output=True, text=True)
        return "" if done.returncode == 0 else (done.stderr or done.stdout).strip().replace(file.name, "")


def findings(root: Path) -> list[str]:
    wanted = {COMPOSE: (root / COMPOSE).read_text()}
    for overlay in overlays(root):
        maps = [o for o in render(overlay) if o["kind"] == "ConfigMap"]
        if len(maps) != 1:
            return [f"{overlay.name} has {len(maps)} ConfigMaps"]
        text = maps[0]["data"]["logystera.toml"]
        wanted[overlay.name] = text
        wanted[f"{overlay.name} with credentials"] = f"{text}\n{CREDENTIALS}"
    answers = {name: refused(text) for name, text in wanted.items()}
    found = [f"{name}: {answer}" for name, answer in answers.items() if answer]
    found += [f"{name} has a password" for name, text in wanted.items()
              if "password =" in text and not name.endswith("credentials")]
    return found
