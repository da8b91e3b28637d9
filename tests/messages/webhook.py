"""Bodies of webhooks, as a strict parser of JSON reads them: what is for people hides nothing, and each name stands once."""

import json
import re

HIDDEN = re.compile("[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200b\u200c\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\U000e0000-\U000e007f]")
TYPES = {"detection.firing", "detection.resolved", "detection.bundle", "digest", "channel.disabled"}


def findings(samples: list[dict]) -> list[tuple[str, str]]:
    return [(sample["name"], said) for sample in samples for said in wrong(sample)]


def once(pairs: list[tuple]) -> dict:
    read = dict(pairs)
    if len(read) != len(pairs):
        raise ValueError("a name stands twice")
    return read


def never(word: str) -> None:
    raise ValueError(f"{word} is no JSON")


def wrong(sample: dict) -> list[str]:
    try:
        body = json.loads(sample["webhook"], object_pairs_hook=once, parse_constant=never)
    except ValueError as error:
        return [str(error)]
    found, data = [], body["data"]
    if set(body) != {"type", "timestamp", "data"} or body["type"] not in TYPES:
        found.append(f"it is a {body.get('type')} with {sorted(body)}")
    if not re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", body["timestamp"]):
        found.append(f"its time is {body['timestamp']}")
    for name in ("title", "message", "why", "do"):
        if hidden := HIDDEN.search(data.get(name) or ""):
            found.append(f"{name} has a hidden {hidden[0]!r}")
    told = url(body["type"], data)
    if told != sample["words"]["link"]:
        found.append(f"its url is {told}")
    return found


def url(kind: str, data: dict) -> str | None:
    """The address that people are shown: a bundle's is its first alert's, a digest has none."""
    match kind:
        case "digest":
            return None
        case "detection.bundle":
            return data["detections"][0]["url"]
        case "channel.disabled":
            return data["detection"]["url"]
        case _:
            return data["url"]
