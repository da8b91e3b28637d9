"""Faults, each planted in a copy of a sample, with what must be said of it. A judge that misses one judges nothing."""

import copy
import json

import languages
import mail
import pages
import slack
import teams
import webhook


def blocks(change):
    """A message to Slack with a change to its blocks."""
    def planted(sample):
        message = json.loads(sample["slack"])
        change(message)
        sample["slack"] = json.dumps(message, separators=(',', ':'))
    return planted


def card(change):
    """A message to Teams with a change to its card."""
    def planted(sample):
        message = json.loads(sample["teams"])
        change(message["attachments"][0]["content"])
        sample["teams"] = json.dumps(message, separators=(',', ':'))
    return planted


def put(path, value):
    """Sets what stands at a path."""
    def change(at):
        *way, last = path
        for step in way:
            at = at[step]
        at[last] = value
    return change


def add(path, value):
    """Appends to the list at a path."""
    def change(at):
        for step in path:
            at = at[step]
        at.append(value)
    return change


def in_mail(sound, faulty):
    """A mail in which something else stands, once."""
    def planted(sample):
        assert sound in sample["email"], sound
        sample["email"] = sample["email"].replace(sound, faulty, 1)
    return planted


def in_html(sound, faulty):
    """A mail whose HTML has something else."""
    def planted(sample):
        html = mail.html_of(sample)
        assert sound in html, sound
        sample["email"] = "MIME-Version: 1.0\r\nContent-Type: text/html; charset=utf-8\r\n\r\n" + html.replace(sound, faulty, 1)
    return planted


def in_webhook(sound, faulty):
    """A body in which something else stands, once."""
    def planted(sample):
        assert sound in sample["webhook"], sound
        sample["webhook"] = sample["webhook"].replace(sound, faulty, 1)
    return planted


ROW = {"type": "section", "text": {"type": "mrkdwn", "text": "x"}}
FACT = ["body", 2, "facts", 1, "value"]

# Who must find it, what is planted, and what must be said of it.
FAULTS = [
    (slack, blocks(put(["blocks", 0, "type"], "heading")), "Block"),
    (slack, blocks(put(["blocks", 1, "colour"], "red")), "colour"),
    (slack, blocks(put(["blocks", 0, "text", "type"], "mrkdwn")), "mrkdwn"),
    (slack, blocks(put(["blocks", 0, "text", "text"], "x" * 151)), "a header of 151"),
    (slack, blocks(put(["blocks", 1, "text", "text"], "🛒" * 1_501)), "a section of 3002"),
    (slack, blocks(put(["blocks", 2, "fields", 0, "text"], "x" * 2_001)), "a field of 2001"),
    (slack, blocks(put(["blocks", 2, "fields"], [{"type": "plain_text", "text": "x"}] * 11)), "11 fields"),
    (slack, blocks(lambda m: m["blocks"].extend([ROW] * 50)), "blocks"),
    (slack, blocks(put(["text"], "x" * 13_000)), "characters in all"),
    (slack, blocks(put(["text"], "Look <!channel>")), "it breaks out: <!channel>"),
    (slack, blocks(put(["text"], "Fish & chips")), "none of Slack's"),
    (slack, blocks(add(["blocks"], {"type": "section", "text": {"type": "mrkdwn", "text": "<https://evil.example|Open>"}})), "its links are"),
    (slack, blocks(add(["blocks"], {"type": "section", "text": {"type": "mrkdwn", "text": "*bold*"}})), "it is markup"),
    (slack, blocks(put(["blocks", 1, "text", "text"], " ")), "an empty text"),
    (slack, blocks(put(["mrkdwn"], True)), "read as markup"),
    (slack, blocks(put(["unfurl_links"], True)), "are fetched"),
    (slack, blocks(put(["blocks", 0, "text", "text"], "Something else")), "it says"),
    (teams, card(put(["body", 0, "type"], "RichText")), "RichText"),
    (teams, card(put(["body", 0, "colour"], "red")), "colour"),
    (teams, card(put(["actions", 0, "type"], "Action.Open")), "Action.Open"),
    (teams, card(put(["body", 0, "inlines", 0, "size"], "huge")), "huge"),
    (teams, card(put(["msteams"], {"width": "Wide"})), "Wide"),
    (teams, card(put(["version"], "1.9")), "version 1.9"),
    (teams, card(put(["fallbackText"], "x" * 20_000)), "bytes"),
    (mail, in_mail("Subject: ", "Bcc: all@evil.example\r\nSubject: "), "not ours: bcc"),
    (mail, in_mail("Subject: ", "Subject: Sale\r\nSubject: "), "subject 2 times"),
    (mail, in_mail("Message-ID: <", "Message-ID: <0"), "Message-ID is"),
    (mail, in_mail("Auto-Submitted: auto-generated", "Auto-Submitted: no"), "Auto-Submitted is"),
    (mail, in_mail("Content-Transfer-Encoding: ", "Content-Transfer-Encoding: base64\r\nX: "), "Defect"),
    (mail, in_mail("Subject: =?utf-8?B?", "Subject: =?utf-8?B?QUFB"), "its subject is"),
    (mail, in_mail("--\r\n", "-\r\n"), "Defect"),
    (mail, in_mail("\r\n\r\n", "\r\n\r\n" + "x" * 999 + "\r\n"), "a line of 999"),
    (mail, in_mail("\r\n\r\n", "\r\n\r\n\n"), "does not end as"),
    (mail, in_mail("\r\n\r\n", "\r\n\r\nGröße"), "no ASCII"),
    (mail, in_mail("text/plain", "text/calendar"), "its parts are"),
    (webhook, in_webhook('"title":"', '"title":"\\u202e'), "title has a hidden"),
    (webhook, in_webhook('"count":5', '"count":NaN'), "NaN is no JSON"),
    (webhook, in_webhook('"count":5', '"count":5,"count":6'), "a name stands twice"),
    (webhook, in_webhook('"detection.firing"', '"detection.fired"'), "it is a detection.fired"),
    (webhook, in_webhook("https://logystera.example", "https://evil.example"), "its url is"),
    (pages, in_html("</body>", '<img src="https://evil.example/p.png"></body>'), "it fetches https://evil.example/p.png"),
    (pages, in_html("</body>", "<script>alert(1)</script></body>"), "a script of it runs"),
    (pages, in_html("</body>", "<form></form></body>"), "not ours: FORM"),
    (pages, in_html("</body>", '<a href="https://evil.example">x</a></body>'), "its links are"),
    (pages, in_html("<p>", '<p onclick="x()">'), "an attribute that is not ours"),
    (pages, in_html("</body>", '<div style="width:2000px">x</div></body>'), "px wide"),
    (pages, in_html("<body style=\"", "<body style=\"color:#222;"), "not readable in the dark"),
    (pages, in_html("<h1 style", "<h1>All is well</h1><h1 style"), "its headline is another"),
    (pages, in_html("t-site", "another"), "(another)"),
    (pages, in_html("light dark", "only light"), "not readable in the dark"),
    (pages, card(put(FACT, "[t](https://evil.example)")), "a A in it"),
    (pages, card(put(FACT, "*t-site*")), "a EM in it"),
    (pages, card(put(FACT, "t-place")), "it shows t-place"),
    (pages, card(put(["body", 1, "inlines", 0, "text"], "at {{DATE(2026-01-01T00:00:00Z,SHORT)}}")), "it shows at "),
    (pages, card(put(["body", 0, "inlines", 0, "text"], "All is well")), "its headline or its message"),
    (pages, card(add(["body"], {"type": "Image", "url": "https://evil.example/p.png"})), "it fetches https://evil.example/p.png"),
    (pages, card(add(["body"], {"type": "Img"})), "the renderer says"),
    (pages, card(add(["actions"], {"type": "Action.Submit", "title": "Sign in"})), "its buttons are"),
    (pages, card(add(["body"], {"type": "ColumnSet", "columns": [{"type": "Column", "width": "2000px", "items": []}]})), "px wide"),
]


# In the guide's code: the language, what stands there, what is put in its place, and the case that shows it.
IN_LANGUAGES = [
    ("python", "> 300", "> 3000", "too old"),
    ("js", ".update(body)", "", "as it came"),
    ("php", "hash_equals($expected, $signature)", "str_starts_with($expected, $signature)", "the beginning of its signature"),
    ("go", "hmac.Equal(expected, []byte(signature))", 'signature != "" && len(expected) > 0', "another signature"),
    ("go", "5*time.Minute", "5 * Minute", "it fails"),
    ("java", 'headers.get("webhook-id")', '"x"', "as it came"),
]


def in_languages(codes: dict[str, str]) -> list[str]:
    """The faults in the guide's code that were not found."""
    missed = []
    for language, sound, faulty, says in IN_LANGUAGES:
        code = codes[language]
        found = languages.findings({**codes, language: code.replace(sound, faulty, 1)}, only=language) if sound in code else []
        if not any(says in said for _, said in found):
            missed.append(f"{language}: {faulty!r} for {sound!r}: only {found}")
    return missed


def of(judge, samples: list[dict]) -> list[tuple[dict, str]]:
    """Samples with the faults that this judge must find, each with what it must say."""
    sound = next(sample for sample in samples if sample["name"] == "firing")
    planted = []
    for n, (finder, plant, says) in enumerate(FAULTS):
        if finder is judge:
            sample = copy.deepcopy(sound)
            sample["name"] = f"planted-{n}"
            plant(sample)
            planted.append((sample, says))
    return planted
