"""What is sent to Teams: Microsoft's schema of Adaptive Cards 1.4, its types, and its size. How a card shows is for pages.mjs to see."""

import json
import re

from importlib.util import find_spec
from pathlib import Path

import jsonschema
import typed

BYTES_MAX = 20_000
# The envelope is what a workflow's trigger asks for; its card has what Teams adds to the schema.
IMPORTED = 'import type { IAdaptiveCard } from "@microsoft/teams.cards";'
ENVELOPE = '''{ type: "message"; attachments: [{ contentType: "application/vnd.microsoft.card.adaptive"; contentUrl: null; content: IAdaptiveCard }] }'''


def schema() -> jsonschema.protocols.Validator:
    # Beside the package, which is not imported: it wants others.
    folder = Path(find_spec("adaptive_cards").submodule_search_locations[0])
    text = json.loads((folder / "schemas/schema-1.4.json").read_text(encoding="utf-8"))
    return jsonschema.Draft6Validator(text)


def findings(samples: list[dict]) -> list[tuple[str, str]]:
    found = typed.findings(IMPORTED, ENVELOPE, {s["name"]: spelled(s["teams"]) for s in samples})
    validator = schema()
    for sample in samples:
        found += [(sample["name"], said) for said in wrong(sample["teams"], validator)]
    return found


def spelled(text: str) -> str:
    """A message with the capitals that the types know: Teams takes either, as the schema says."""
    text = re.sub(r'"(color|size|weight)":"([a-z])', lambda m: f'"{m[1]}":"{m[2].upper()}', text)
    return text.replace('"msteams":{"width":"Full"}', '"msteams":{"width":"full"}')


def wrong(text: str, validator: jsonschema.protocols.Validator) -> list[str]:
    found = []
    if len(text.encode()) > BYTES_MAX:
        found.append(f"{len(text.encode())} bytes")
    card = dict(json.loads(text)["attachments"][0]["content"])
    # Teams' own, which no schema of Adaptive Cards has; the types have it.
    card.pop("msteams", None)
    if card.get("version") != "1.4":
        found.append(f"version {card.get('version')}")
    found += [f"{e.json_path}: {deepest(e).message[:200]}" for e in list(validator.iter_errors(card))[:3]]
    return found


def deepest(error: jsonschema.ValidationError) -> jsonschema.ValidationError:
    return jsonschema.exceptions.best_match([error]) or error
