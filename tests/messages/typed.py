"""Messages against the types that their receivers publish: what TypeScript says of each as a constant."""

import os
import re
import subprocess
import tempfile
from pathlib import Path

TOOLS = Path(__file__).resolve().parents[2] / "target/tools/messages"


def findings(imported: str, of_type: str, messages: dict[str, str]) -> list[tuple[str, str]]:
    """What the compiler says of messages, each the text of a JSON value, by their names."""
    lines = [imported]
    # A constant a line, so that a line is a sample.
    lines += [f"export const sample{n}: {of_type} = {text};" for n, text in enumerate(messages.values())]
    names = list(messages)
    with tempfile.TemporaryDirectory(dir=TOOLS) as folder:
        file = Path(folder) / "samples.ts"
        file.write_text("\n".join(lines), encoding="utf-8")
        command = [TOOLS / "node_modules/.bin/tsc", "--strict", "--noEmit", "--skipLibCheck", "--pretty", "false", "--target", "es2022",
                   "--module", "nodenext", "--types", "", file]
        done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "NO_COLOR": "1"}, cwd=TOOLS)
    said = re.findall(r"samples\.ts\((\d+),\d+\): error (.+)", done.stdout)
    found = [(names[int(line) - 2], text) if int(line) > 1 else ("the types", text) for line, text in said]
    if done.returncode and not found:
        found.append(("the compiler", (done.stdout + done.stderr)[-1000:]))
    return found
