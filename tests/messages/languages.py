"""The code of docs/deliveries.md that verifies a signature, in each of its languages, on messages of ours and on others."""

import base64
import hmac
import os
import re
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

GUIDE = Path(__file__).resolve().parents[2] / "docs/deliveries.md"
PATIENCE_S = 120
NOW, ID = 1_767_225_600, "5f0c61d2" * 4
SECRET, OTHER = ("whsec_" + base64.b64encode(bytes([n]) * 32).decode() for n in (0xFB, 7))
BODY = '{"type":"detection.firing","data":{"title":"Größe 🛒 <b>&amp;"}}\n'.encode()

# What reads cases from the file in its first argument, a line each: id, timestamp, signature, secret, body in base64, now; and
# prints what the code says of each. Behind the code, and in Go and Java in files beside it.
CALLS = {
    "python": '''
import sys
for line in open(sys.argv[1]):
    i, t, s, secret, body, now = line.rstrip("\\n").split("\\t")
    headers = {"webhook-id": i, "webhook-timestamp": t, "webhook-signature": s}
    print(str(verify(headers, base64.b64decode(body), secret, int(now))).lower())
''',
    "js": '''
import { readFileSync } from "node:fs";
for (const line of readFileSync(process.argv[2], "utf8").trimEnd().split("\\n")) {
  const [id, timestamp, signature, secret, body, now] = line.split("\\t");
  const headers = { "webhook-id": id, "webhook-timestamp": timestamp, "webhook-signature": signature };
  console.log(verify(headers, Buffer.from(body, "base64"), secret, Number(now)));
}
''',
    "php": '''
foreach (file($argv[1], FILE_IGNORE_NEW_LINES) as $line) {
    [$id, $timestamp, $signature, $secret, $body, $now] = explode("\\t", $line);
    $headers = ['webhook-id' => $id, 'webhook-timestamp' => $timestamp, 'webhook-signature' => $signature];
    echo json_encode(verify($headers, base64_decode($body), $secret, (int) $now)), "\\n";
}
''',
    "go": '''package main

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"
)

func main() {
	text, _ := os.ReadFile(os.Args[1])
	for _, line := range strings.Split(strings.TrimRight(string(text), "\\n"), "\\n") {
		f := strings.Split(line, "\\t")
		header := http.Header{}
		header.Set("webhook-id", f[0])
		header.Set("webhook-timestamp", f[1])
		header.Set("webhook-signature", f[2])
		body, _ := base64.StdEncoding.DecodeString(f[4])
		now, _ := strconv.ParseInt(f[5], 10, 64)
		fmt.Println(Verify(header, body, f[3], time.Unix(now, 0)))
	}
}
''',
    "java": '''
final class Main {
    public static void main(String[] args) throws Exception {
        for (String line : java.nio.file.Files.readAllLines(java.nio.file.Path.of(args[0]))) {
            String[] f = line.split("\\t");
            Map<String, String> headers = Map.of("webhook-id", f[0], "webhook-timestamp", f[1], "webhook-signature", f[2]);
            System.out.println(Receiver.verify(headers, Base64.getDecoder().decode(f[4]), f[3], Long.parseLong(f[5])));
        }
    }
}
''',
}


def sign(secret: str, timestamp: int, body: bytes) -> str:
    key = base64.b64decode(secret.removeprefix("whsec_"))
    return "v1," + base64.b64encode(hmac.new(key, f"{ID}.{timestamp}.".encode() + body, "sha256").digest()).decode()


def sign_with(key: bytes) -> str:
    return "v1," + base64.b64encode(hmac.new(key, f"{ID}.{NOW}.".encode() + BODY, "sha256").digest()).decode()


def cases() -> list[tuple[str, bool, list[str]]]:
    """What it is, whether it is genuine, and the fields of its line."""
    good, other = sign(SECRET, NOW, BODY), sign(OTHER, NOW, BODY)
    made = [
        ("as it came", True, ID, NOW, good, SECRET, BODY, NOW),
        ("of five minutes ago", True, ID, NOW, good, SECRET, BODY, NOW + 300),
        ("of a clock ahead", True, ID, NOW, good, SECRET, BODY, NOW - 300),
        ("with the signature of a new secret before it", True, ID, NOW, f"{other} {good}", SECRET, BODY, NOW),
        ("with another version's signature behind it", True, ID, NOW, f"{good} v1a,AAAA", SECRET, BODY, NOW),
        ("with no body", True, ID, NOW, sign(SECRET, NOW, b""), SECRET, b"", NOW),
        ("another body", False, ID, NOW, good, SECRET, BODY + b" ", NOW),
        ("another id", False, "0" * 32, NOW, good, SECRET, BODY, NOW),
        ("another time", False, ID, NOW + 1, good, SECRET, BODY, NOW),
        ("another secret", False, ID, NOW, good, OTHER, BODY, NOW),
        ("another signature", False, ID, NOW, other, SECRET, BODY, NOW),
        ("too old", False, ID, NOW, good, SECRET, BODY, NOW + 301),
        ("of the future", False, ID, NOW, good, SECRET, BODY, NOW - 301),
        ("of another version", False, ID, NOW, good.replace("v1,", "v1a,"), SECRET, BODY, NOW),
        ("the beginning of its signature", False, ID, NOW, good[:20], SECRET, BODY, NOW),
        ("no signature", False, ID, NOW, "v1,", SECRET, BODY, NOW),
        ("no secret", False, ID, NOW, sign_with(b""), "", BODY, NOW),
        ("a secret without a key", False, ID, NOW, sign_with(b""), "whsec_", BODY, NOW),
        ("a secret that was cut off", False, ID, NOW, sign_with(base64.b64decode("c2VjcmV0")), "whsec_c2VjcmV0", BODY, NOW),
    ]
    return [(what, ok, [i, str(t), s, secret, base64.b64encode(body).decode(), str(now)]) for what, ok, i, t, s, secret, body, now in made]


def codes() -> dict[str, str]:
    """The guide's code, by language."""
    section = GUIDE.read_text(encoding="utf-8").split("### Verifying the signature", 1)[1].split("\n## ", 1)[0]
    return dict(re.findall(r"```(\w+)\n(.*?)```", section, re.DOTALL))


def findings(codes: dict[str, str], only: str | None = None) -> list[tuple[str, str]]:
    missing = [(language, "the guide has no code") for language in CALLS if language not in codes]
    codes = {language: code for language, code in codes.items() if only in (None, language)}
    with ThreadPoolExecutor(2) as pool:
        said = pool.map(lambda language: [(language, s) for s in said_by(language, codes[language])], codes)
    return missing + [one for some in said for one in some]


def said_by(language: str, code: str) -> list[str]:
    all_cases, call = cases(), CALLS[language]
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        (folder / "cases").write_text("".join("\t".join(fields) + "\n" for _, _, fields in all_cases))
        file = folder / {"python": "verify.py", "js": "verify.mjs", "php": "verify.php", "go": "verify.go", "java": "Main.java"}[language]
        if language == "go":
            file.write_text(re.sub(r"^package \w+", "package main", code))
            (folder / "main.go").write_text(call)
            (folder / "go.mod").write_text("module receiver\n\ngo 1.22\n")
        elif language == "java":
            # Of a file the first class is run.
            imports, classes = code.split("final class", 1)
            file.write_text(imports + call + "final class" + classes)
        else:
            file.write_text(code + call)
        command = {"python": [sys.executable, file], "js": ["node", file], "php": ["php", file], "go": ["go", "run", "-trimpath", "."], "java": ["java", file]}[language]
        env = {**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "", "GOTOOLCHAIN": "local", "GOWORK": "off"}
        done = subprocess.run([*command, folder / "cases"], capture_output=True, text=True, timeout=PATIENCE_S, cwd=folder, env=env)
    if done.returncode or done.stderr:
        return [f"it fails: {(done.stderr or done.stdout)[-600:]}"]
    said = done.stdout.split()
    if len(said) != len(all_cases):
        return [f"it says {said}"]
    return [f"{what}: it says {s}" for (what, ok, _), s in zip(all_cases, said, strict=True) if s != str(ok).lower()]
