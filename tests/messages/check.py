"""Every judge of the messages, then the planted faults. Run by tests/messages/run."""

import json
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import killed
import languages
import live
import mail
import pages
import planted
import slack
import teams
import webhook

# Each judges samples, the sound and the planted ones at once, and gives pairs of a sample's name and what is wrong with it.
JUDGES = {
    "slack: its types, its limits, no markup but our link": slack,
    "teams: Microsoft's schema and types, its size": teams,
    "mail: a parser finds no defect, no header but ours": mail,
    "webhook: strict JSON that hides nothing": webhook,
    "pages: mails and cards in a browser": pages,
}


LIVE = "live: a mail server with TLS and passwords, a receiver with TLS, a library of Standard Webhooks"
KILLED = "killed: kill -9 while alerts are on their way to all four kinds"
LANGUAGES = "languages: the guide's code verifies signatures in each, and faults in it are found"


def of_languages() -> list[str]:
    codes = languages.codes()
    found = [f"{language}: {said}" for language, said in languages.findings(codes)]
    return found or [f"MISSED {missed}" for missed in planted.in_languages(codes)]


# How many findings of one judge are shown.
LINES_MAX = 40


def main(words: list[str]) -> int:
    samples = [json.loads(line) for line in open(os.environ["SAMPLES"], encoding="utf-8")]
    passed, failed, began = 0, 0, time.monotonic()
    # Most of it is waiting: it runs beside the others.
    aside = ThreadPoolExecutor(max_workers=1)
    killing = aside.submit(killed.findings) if not words or any(word in KILLED for word in words) else None
    for what, judge in JUDGES.items():
        if words and not any(word in what for word in words):
            continue
        start = time.monotonic()
        faulty = planted.of(judge, samples)
        found = judge.findings(samples + [sample for sample, _ in faulty])
        names = {sample["name"] for sample, _ in faulty}
        wrong = [(name, said) for name, said in found if name not in names]
        missed = [(s["name"], says) for s, says in faulty if not any(name == s["name"] and says in said for name, said in found)]
        for name, said in wrong[:LINES_MAX]:
            print(f"       {name}: {said}")
        for name, says in missed:
            print(f"MISSED {name}: nobody said {says!r}, only {[said for n, said in found if n == name]}")
        print(f"{'FAILED' if wrong or missed else 'ok':7}{what}: {len(samples)} messages, {len(faulty)} planted ({time.monotonic() - start:.1f} s)", flush=True)
        passed += len(faulty) - len(missed) + (not wrong)
        failed += len(missed) + bool(wrong)
    for what, ask in {LIVE: live.findings, LANGUAGES: of_languages}.items():
        if words and not any(word in what for word in words):
            continue
        start = time.monotonic()
        wrong = ask()
        for said in wrong:
            print(f"       {said}")
        print(f"{'FAILED' if wrong else 'ok':7}{what} ({time.monotonic() - start:.1f} s)", flush=True)
        passed, failed = passed + (not wrong), failed + bool(wrong)
    if killing:
        wrong, seen = killing.result()
        for said in wrong:
            print(f"       {said}")
        print(f"{'FAILED' if wrong else 'ok':7}{KILLED}: {seen} ({time.monotonic() - began:.1f} s)", flush=True)
        passed, failed = passed + (not wrong), failed + bool(wrong)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
