"""The pictures of docs/channels.md: what `logystera channel preview` shows, in a browser. Run by tests/messages/run --pictures."""

import os
import subprocess
import sys
from pathlib import Path

import pages

FOLDER = Path(__file__).resolve().parents[2] / "docs/pictures"
# The guide shows what a phone shows: a picture for the light, and one for the dark.
UNUSED = "*-wide.png"


def preview(*words: str) -> str:
    return subprocess.run([os.environ["LOGYSTERA"], "channel", "preview", *words], check=True, capture_output=True, text=True).stdout


def main() -> int:
    samples = {"alert": [], "bundle": ["--bundle"]}
    mails = [{"kind": "mail", "name": name, "html": preview("email", "--html", *flags)} for name, flags in samples.items()]
    cards = [{"kind": "card", "name": "alert", "card": pages.card_of(preview("teams"))}]
    found = pages.look(mails, cards, FOLDER, list(samples))
    for name, said in found:
        print(f"{name}: {said}")
    for picture in FOLDER.glob(UNUSED):
        picture.unlink()
    return bool(found)


sys.exit(main())
