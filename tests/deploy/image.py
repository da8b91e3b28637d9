"""The image's context: every member of the workspace is let in, without which Cargo reads none of it."""

from pathlib import Path

import tomllib

FILE = "infra/deploy/Dockerfile.dockerignore"


def findings(root: Path) -> list[str]:
    members = tomllib.loads((root / "Cargo.toml").read_text())["workspace"]["members"]
    let_in = {line[1:] for line in (root / FILE).read_text().splitlines() if line.startswith("!")}
    folders = {member.split("/")[0] for member in members}
    return [f"{FILE} keeps out {folder}, a member of the workspace" for folder in sorted(folders - let_in)]
