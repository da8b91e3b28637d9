"""Mails, as Python's parser reads them: no defect, our headers and no other, and the same words in both parts."""

import json
import re
from email import message_from_bytes, policy

HEADERS = {"from", "to", "subject", "mime-version", "content-type", "message-id", "auto-submitted", "list-id", "in-reply-to", "references"}
LINE_MAX = 998
FROM, TO = "alerts@logystera.example", ["ops@example.com", "on-call@example.com"]
# Which of the text's lines a mail may cut, as the guide says nothing of it: what it shows of a value.
VALUE_MAX = 1_000
FACT_MAX = 300


def findings(samples: list[dict]) -> list[tuple[str, str]]:
    return [(sample["name"], said) for sample in samples for said in wrong(sample)]


def html_of(sample: dict) -> str:
    body = message_from_bytes(sample["email"].encode(), policy=policy.default).get_body(("html",))
    return body.get_content() if body else ""


def wrong(sample: dict) -> list[str]:
    found, raw = [], sample["email"].encode()
    if not raw.isascii():
        found.append("bytes that are no ASCII: a server without 8BITMIME does not take it")
    if re.search(rb"(?<!\r)\n|\r(?!\n)|\0", raw):
        found.append("a line that does not end as SMTP's do")
    longest = max(map(len, raw.split(b"\r\n")))
    if longest > LINE_MAX:
        found.append(f"a line of {longest} bytes")
    mail = message_from_bytes(raw, policy=policy.default)
    found += wrong_headers(mail, sample) + wrong_parts(mail, sample["words"])
    # Now that all is decoded.
    for part in mail.walk():
        found += [f"{part.get_content_type()}: {d.__class__.__name__}" for d in part.defects]
        found += [f"{name}: {d}" for name, value in part.items() for d in getattr(value, "defects", ())]
    names = [name.lower() for name in mail.keys()]
    found += [f"a header that is not ours: {name}" for name in set(names) - HEADERS]
    found += [f"{name} {names.count(name)} times" for name in set(names) if names.count(name) > 1]
    return found


def wrong_headers(mail, sample: dict) -> list[str]:
    domain, words = FROM.split("@")[1], sample["words"]
    # What is of several alerts belongs to no one thread.
    is_of_one = json.loads(sample["webhook"])["type"] in ("detection.firing", "detection.resolved")
    thread = f"<episode-{sample['episode']}@{domain}>" if is_of_one else None
    expected = {
        "Message-ID": f"<{sample['id']}@{domain}>",
        "Auto-Submitted": "auto-generated",
        "List-ID": f"Logystera alerts <alerts.t.{domain}>",
        "In-Reply-To": thread,
        "References": thread,
    }
    found = [f"{name} is {mail[name]!r}, not {value!r}" for name, value in expected.items() if mail[name] != value]
    addresses = [a.addr_spec for a in mail["to"].addresses]
    if [a.addr_spec for a in mail["from"].addresses] != [FROM] or addresses != TO:
        found.append(f"it goes from {mail['from']} to {mail['to']}")
    subject, told = str(mail["subject"]), words["headline"]
    if not (subject == told or subject.endswith("…") and told.startswith(subject[:-1])) and subject.strip() != told.strip():
        found.append(f"its subject is {subject[:80]!r}, not {told[:80]!r}")
    return found


def wrong_parts(mail, words: dict) -> list[str]:
    kinds = [part.get_content_type() for part in mail.walk()]
    if kinds != ["multipart/alternative", "text/plain", "text/html"]:
        return [f"its parts are {kinds}"]
    text = mail.get_body(("plain",)).get_content().replace("\r\n", "\n")
    found = []
    hidden = re.search("[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff\U000e0000-\U000e007f]", text)
    # A joiner between two parts of one emoji is seen as part of it.
    if hidden and hidden[0] != "\u200d":
        found.append(f"its text has a hidden {hidden[0]!r}")
    told = [words["headline"], words["message"], *words["notes"], *words["evidence"]]
    told += [f"{name}: {value[: FACT_MAX // 2 - 10]}" for name, value in words["facts"][:50]]
    found += [f"its text lacks {line[:80]!r}" for line in told if not begins_in(line, text)]
    if words["link"] and f"Open the alert: {words['link']}\n" not in text:
        found.append("its text lacks the link")
    return found


def begins_in(line: str, text: str) -> bool:
    """Whether a text has this line, or as much of it as a value may be long."""
    return line[: VALUE_MAX // 2 - 50].strip() in text
