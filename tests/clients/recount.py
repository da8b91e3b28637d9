"""Recounts a web server's log by hand: who asked 5 times within 10 minutes for what is not there, and how often until half an
hour after it ended. Knows nothing of Logystera but how a source is hashed: python3 recount.py LOG KEY_FILE"""
import datetime, gzip, hashlib, hmac, json, re, sys

LINE = re.compile(r'(\S+) \S+ \S+ \[([^]]+)\] "[^"\\]*(?:\\.[^"\\]*)*" (\d{3}) (?:\d+|-) "[^"\\]*(?:\\.[^"\\]*)*" "[^"\\]*(?:\\.[^"\\]*)*"')
THRESHOLD, WITHIN, RESOLVE_AFTER = 5, 600_000, 1_800_000

raw = open(sys.argv[1], "rb").read()
text = (gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw).decode("utf-8", "replace")
key = bytes.fromhex(open(sys.argv[2]).read().strip())
lines = [match for match in map(LINE.match, text.splitlines()) if match]
millis = lambda stamp: int(datetime.datetime.strptime(stamp, "%d/%b/%Y:%H:%M:%S %z").timestamp()) * 1000
end = max(millis(match[2]) for match in lines)
missing = {}
for match in lines:
    if match[3] in ("404", "410"):
        missing.setdefault(match[1], []).append(millis(match[2]) - end)

probes = []
for address, times in missing.items():
    times.sort()
    first = next((i for i in range(THRESHOLD - 1, len(times)) if times[i] - times[i - THRESHOLD + 1] < WITHIN), None)
    if first is None:
        continue
    source = hmac.new(key, address.encode(), hashlib.sha256).hexdigest()[:32]
    probes.append([source, "firing", times[first], THRESHOLD])
    last, over = first, times[first - THRESHOLD + 1] + WITHIN + RESOLVE_AFTER  # when it is resolved, if nothing comes
    while last + 1 < len(times) and times[last + 1] <= over:
        last += 1
        if times[last] - times[last - THRESHOLD + 1] < WITHIN:
            over = times[last - THRESHOLD + 1] + WITHIN + RESOLVE_AFTER
    if over <= 0:
        probes.append([source, "resolved", over, last - first + THRESHOLD])
json.dump({"lines": len(lines), "probes": sorted(probes)}, sys.stdout)
