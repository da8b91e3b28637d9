"""A real mail server and a real receiver: what `logystera up` hands over arrives, and what must not be sent is not."""

import json
import subprocess
import tempfile
from email import message_from_bytes, policy
from pathlib import Path

from place import PATIENCE_S, SENDER, TOOLS, USER, Place, mailbox, wait_for

SUBJECT = "Critical: Mail fails <b>&amp; {{DATE(2026-01-01T00:00:00Z)}} (Shop)"
HERE = Path(__file__).resolve().parent


def findings() -> list[str]:
    with tempfile.TemporaryDirectory() as folder, Place(Path(folder)) as place:
        try:
            return [*mails(place), *refusals(place), *one_of_two(place)]
        except (AssertionError, TimeoutError, subprocess.SubprocessError) as error:
            log = Path(folder) / "up.log"
            return [f"{error}", log.read_text(encoding="utf-8")[-2000:] if log.exists() else ""]


def flags(place: Place, scheme: str, port: int, password: str = "password") -> list[str]:
    user = USER.replace("@", "%40")
    return ["--smtp", f"{scheme}://{user}@localhost:{port}", "--smtp-password-file", str(place.folder / password), "--mail-from", SENDER]


def mails(place: Place) -> list[str]:
    """STARTTLS and TLS: a test and a real alert come to the mailbox and to the receiver."""
    found, port = [], place.receiver()
    servers = {"smtp": place.mail_server(*place.tls(), "--smtp-require-starttls"), "smtps": place.mail_server(*place.tls(), "--smtp-require-tls")}
    secret = None
    for scheme, (smtp, web) in servers.items():
        up = place.up(*flags(place, scheme, smtp))
        if secret is None:
            place.logystera("site", "add", "Shop", "--dsn-file", str(place.folder / "dsn"))
            email = json.loads(place.logystera("channel", "add", "email", "ops@example.com", "on-call@example.com", "--json"))["channel"]
            hook = json.loads(place.logystera("channel", "add", "webhook", f"https://localhost:{port}/hook", "--json"))
            secret = hook["secret"]
            said = place.logystera("channel", "test", hook["channel"])
            found += [] if "delivered" in said else [f"a test of the webhook: {said}"]
        said = place.logystera("channel", "test", email)
        found += [] if "delivered" in said else [f"a test over {scheme}: {said}"]
        wait_for(f"the test's mail over {scheme}", lambda web=web: len(mailbox(web)) == 1)
        found += [f"{scheme}: {said}" for said in wrong_mail(mailbox(web)[0], "A test of this channel")]
        if scheme == "smtp":
            place.fail_mails()
            wait_for("the alert's mail", lambda web=web: len(mailbox(web)) == 2)
            wait_for("the alert at the receiver", lambda: len(place.received) == 2)
            raw = mailbox(web)[1]
            found += wrong_mail(raw, SUBJECT) + planted(raw)
            rows = [json.loads(line) for line in place.logystera("delivery", "list", "--json").splitlines()]
            ids = {f"<{row['delivery']}@{SENDER.split('@')[1]}>" for row in rows if row["channel"] == email}
            mail = message_from_bytes(raw, policy=policy.default)
            if ids != {mail["message-id"]}:
                found.append(f"its Message-ID is {mail['message-id']}, its deliveries are {ids}")
        up.terminate()
        up.wait(timeout=PATIENCE_S)
        place.processes.remove(up)
    place.email, place.hook, place.smtp, place.web = email, hook["channel"], servers["smtp"][0], servers["smtp"][1]
    return found + judged_by_library(place, secret)


def planted(raw: bytes) -> list[str]:
    """Faults in a mail that came, which were not found."""
    faults = [(b"\nDate: ", b"\nX: ", "date"), (b"\nTo: ", b"\nTo: all@evil.example, ", "goes to"), (b"\nSubject: ", b"\nSubject: Re: ", "subject")]
    return [f"missed: {faulty}" for sound, faulty, says in faults if not any(says in said for said in wrong_mail(raw.replace(sound, faulty, 1), SUBJECT))]


def wrong_mail(raw: bytes, subject: str) -> list[str]:
    """What is wrong with a mail that a server has taken."""
    mail = message_from_bytes(raw, policy=policy.default)
    found = [f"a defect: {defect!r}" for part in mail.walk() for defect in part.defects]
    if mail["subject"] != subject:
        found.append(f"its subject is {mail['subject']!r}")
    if mail["date"] is None or mail["date"].datetime is None:
        found.append(f"its date is {mail['date']!r}")
    if [a.addr_spec for a in mail["to"].addresses] != ["ops@example.com", "on-call@example.com"]:
        found.append(f"it goes to {mail['to']}")
    return found


def judged_by_library(place: Place, secret: str) -> list[str]:
    """What the library of Standard Webhooks for JavaScript says of all that came, and of it when somebody has touched it."""
    cases = []
    for headers, body in place.received:
        body = body.decode()
        touched = {"as it came": (headers, body, secret), "another body": (headers, body + " ", secret), "another secret": (headers, body, "whsec_" + "QUJD" * 8)}
        for name, value in {"webhook-id": "0" * 32, "webhook-signature": "v1," + "QUJD" * 11, "webhook-timestamp": str(int(headers["webhook-timestamp"]) - 301)}.items():
            touched[f"another {name}"] = ({**headers, name: value}, body, secret)
        cases += [{"what": what, "headers": h, "body": b, "secret": s} for what, (h, b, s) in touched.items()]
    done = subprocess.run(["node", HERE / "verify.mjs", TOOLS], input=json.dumps(cases), capture_output=True, text=True, timeout=PATIENCE_S)
    if done.returncode:
        return [done.stderr]
    said = json.loads(done.stdout)
    found = [f"{case['what']}: the library says {good}" for case, good in zip(cases, said, strict=True) if good != (case["what"] == "as it came")]
    kinds = [json.loads(body)["type"] for _, body in place.received]
    return found if kinds == ["channel.test", "detection.firing"] else [*found, f"it got {kinds}"]


def refusals(place: Place) -> list[str]:
    """What is not sent, and why: no server gets a mail of these."""
    bare, plain_web = place.mail_server("--smtp-auth-allow-insecure")
    before, found = len(mailbox(place.web)), []
    for what, server, trusts, says in [
        ("a wrong password", flags(place, "smtp", place.smtp, "wrong"), True, "smtp_535"),
        ("an authority that is not trusted", flags(place, "smtp", place.smtp), False, "tls"),
        ("a server without STARTTLS", flags(place, "smtp", bare), True, "smtp_no_starttls"),
        ("TLS from the first byte to one that begins in the clear", flags(place, "smtps", place.smtp), True, "tls"),
    ]:
        said = place.logystera("channel", "test", place.email, *server, trusts=trusts, exits=1)
        if says not in said or "delivered" in said:
            found.append(f"{what}: {said}")
    said = place.logystera("channel", "test", place.hook, "--json", trusts=False, exits=1)
    if json.loads(said)["cause"] != "tls" or len(place.received) != 2:
        found.append(f"a receiver that is not trusted: {said}")
    if len(mailbox(place.web)) != before or mailbox(plain_web):
        found.append("a mail of these was sent")
    return found


def one_of_two(place: Place) -> list[str]:
    """A server that refuses one of two recipients: the other gets it."""
    smtp, web = place.mail_server(*place.tls(), "--smtp-require-starttls", "--smtp-allowed-recipients", "^ops@")
    said = place.logystera("channel", "test", place.email, *flags(place, "smtp", smtp))
    if "delivered (smtp_1_of_2_refused)" not in said or len(mailbox(web)) != 1:
        return [f"one of two refused, {len(mailbox(web))} mails: {said}"]
    return []
