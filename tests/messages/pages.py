"""Mails and cards in a browser: pages.mjs looks at them."""

import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import mail

HERE = Path(__file__).resolve().parent
TOOLS = HERE.parents[1] / "target/tools/messages"
PICTURES = TOOLS / "pictures"
# Of which pictures are made.
SHOWN = ["firing", "over", "news", "mixed", "large", "piece-5"]
BROWSERS = ["chromium-headless-shell", "chromium", "google-chrome"]


def findings(samples: list[dict]) -> list[tuple[str, str]]:
    mails = [{"kind": "mail", "name": s["name"], "html": mail.html_of(s), "words": s["words"]} for s in samples]
    cards = [{"kind": "card", "name": s["name"], "words": s["words"], "card": card_of(s["teams"])} for s in samples]
    return look(mails, cards, PICTURES, SHOWN)


def card_of(message: str) -> dict:
    return json.loads(message)["attachments"][0]["content"]


def look(mails: list[dict], cards: list[dict], pictures: Path, shown: list[str]) -> list[tuple[str, str]]:
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        return [("the browser", "there is no Chromium")]
    shutil.rmtree(pictures, ignore_errors=True)
    pictures.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "samples.json"
        file.write_text(json.dumps({"mails": mails, "cards": cards, "pictures": str(pictures), "shown": shown, "browser": browser}))
        done = subprocess.run(["node", HERE / "pages.mjs", TOOLS, file], capture_output=True, text=True, timeout=600,
                              env={**os.environ, "HOME": folder})
    found = [tuple(json.loads(line)) for line in done.stdout.splitlines()]
    return found if done.returncode == 0 else [*found, ("the browser", done.stderr[-2000:])]
