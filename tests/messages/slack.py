"""What is sent to Slack: its types, its limits, and that nothing in it is markup but our link."""

import json
import re

import typed

BLOCKS_MAX, HEADER_MAX, SECTION_MAX, FIELDS_MAX, FIELD_MAX, ALL_MAX = 50, 150, 3_000, 10, 2_000, 13_000
IMPORTED = 'import type { IncomingWebhookSendArguments } from "@slack/webhook";'
# `mrkdwn` is in Slack's guide of texts, and not in its types.
MESSAGE = "(IncomingWebhookSendArguments & { mrkdwn: false })"


def findings(samples: list[dict]) -> list[tuple[str, str]]:
    found = typed.findings(IMPORTED, MESSAGE, {s["name"]: s["slack"] for s in samples})
    for sample in samples:
        found += [(sample["name"], said) for said in wrong(json.loads(sample["slack"]), sample["words"])]
    return found


def units(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


def texts(value) -> list[dict]:
    """Every text object of a message."""
    if isinstance(value, list):
        return [t for v in value for t in texts(v)]
    if not isinstance(value, dict):
        return []
    return ([value] if value.get("type") in ("plain_text", "mrkdwn") else []) + [t for v in value.values() for t in texts(v)]


def read(text: str) -> tuple[str, list[str]]:
    """A text as Slack's parser reads it: what is shown, and what stands in angle brackets, which it takes for a link, a mention or a
    command (docs.slack.dev, "Formatting message text")."""
    special = re.findall(r"<([^>]*)(?:>|$)", text)
    shown = re.sub(r"<([^>]*)(?:>|$)", "", text)
    return re.sub(r"&(amp|lt|gt);", lambda m: {"amp": "&", "lt": "<", "gt": ">"}[m[1]], shown), special


def wrong(message: dict, words: dict) -> list[str]:
    found, blocks = [], message["blocks"]
    if len(blocks) > BLOCKS_MAX:
        found.append(f"{len(blocks)} blocks")
    for block in blocks:
        limit = HEADER_MAX if block["type"] == "header" else SECTION_MAX
        if "text" in block and units(block["text"]["text"]) > limit:
            found.append(f"a {block['type']} of {units(block['text']['text'])} characters")
        if len(block.get("fields", [])) > FIELDS_MAX:
            found.append(f"{len(block['fields'])} fields")
        found += [f"a field of {units(f['text'])} characters" for f in block.get("fields", []) if units(f["text"]) > FIELD_MAX]
    objects = texts(blocks)
    total = units(message["text"]) + sum(units(t["text"]) for t in objects)
    if total > ALL_MAX:
        found.append(f"{total} characters in all")
    found += ["an empty text" for t in objects if not t["text"].strip()]
    # In a plain text nothing is read; there, too, the three characters are written as Slack asks.
    links = []
    for text in objects + [{"type": "plain_text", "text": message["text"]}]:
        _, special = read(text["text"])
        if text["type"] == "mrkdwn":
            links += special
        else:
            found += [f"it breaks out: <{s[:60]}>" for s in special]
            found += ["an & that is none of Slack's" for _ in re.findall(r"&(?!(?:amp|lt|gt);)", text["text"])[:1]]
            if text.get("emoji"):
                found.append("a plain text with emoji codes")
    ours = [f"{words['link']}|Open the alert"] if words["link"] else []
    if links != ours:
        found.append(f"its links are {links}, and not {ours}")
    found += [f"it is markup: {t['text'][:60]!r}" for t in objects if t["type"] == "mrkdwn" and not re.fullmatch(r"<[^<>]*>", t["text"])]
    if message.get("mrkdwn") is not False or message.get("link_names") or message.get("parse"):
        found.append("its text is read as markup")
    if message.get("unfurl_links") is not False or message.get("unfurl_media") is not False:
        found.append("addresses in it are fetched")
    # What it is about is there, as it is.
    for block, told in zip(blocks, [words["headline"], words["message"]], strict=False):
        shown, _ = read(block["text"]["text"])
        if not said_by(shown, told):
            found.append(f"it says {shown[:60]!r} for {told[:60]!r}")
    return found


def said_by(shown: str, told: str) -> bool:
    """Whether a shown text is the told one, or the beginning of it with a mark."""
    if not told.strip():
        return shown == "-"
    return shown == told or (shown.endswith("…") and told.startswith(shown[:-1]))
