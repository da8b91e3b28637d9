"""A sender: python3 send_batches.py DSN_FILE STATE_FILE < signals.ndjson; what waits goes on when it runs again."""
import base64, collections, fcntl, gzip, hashlib, hmac, http.client, json, os, random, socket, sys, time, urllib.request

class AnyStatus(urllib.request.HTTPErrorProcessor):  # every status is an answer, and no redirect is followed
    http_response = https_response = lambda self, request, response: response

def save():  # whole or not at all, also after a power cut
    with open(PATH + ".new", "w") as file:
        json.dump(state, file), file.flush(), os.fsync(file.fileno())
    os.replace(PATH + ".new", PATH)

def add(signals):  # in time order, and after what was already spoken for
    for signal in sorted(signals, key=lambda s: s["at"]):
        signal["at"] = max([signal["at"], state["through"] + 1] + [s["at"] for s in state["pending"][-1:]])
        state["pending"].append(signal)

def drop(lost, reason):  # tells how many signals were lost; a lost report makes no other
    counts = collections.Counter(s["type"] for s in lost if s["type"] != "integration.dropped")
    add({"type": "integration.dropped", "at": int(time.time() * 1000), "dropped_type": kind, "count": count,
         "since": min(s["at"] for s in lost), "reason": reason} for kind, count in counts.items())

def claim():  # fixes the id and the bytes of the next batch
    own = state["pending"][:state["limit"]]
    while len(own) > 1 and len(json.dumps(own)) > 512 * 1024:
        own = own[:len(own) // 2]
    rest = state["pending"][len(own):]
    through = rest[0]["at"] - 1 if rest else max(int(time.time() * 1000), own[-1]["at"] - 1)
    state.update(through=max(through, state["through"]), seq=state["seq"] + 1)
    body = {"through": state["through"], "clock_offset_ms": state["offset_ms"], "ends": not rest, "signals": own,
            "integration": dict(platform="other", version="1", enabled=sorted({s["type"] for s in state["pending"]}))}
    packed = base64.b64encode(gzip.compress(json.dumps(body).encode(), mtime=0)).decode()
    state["batch"] = {"id": f"{state['spool']}.{state['seq']}", "count": len(own), "body": packed}

def post(batch, body):  # one try; status 0 is no answer, or one that no gateway gave
    now_ms = time.time() * 1000 + state["offset_ms"]
    signed = ["v1", "POST", "/v1/batches", AUDIENCE, SITE, KEY, str(int(now_ms / 1000)), batch, "application/json",
              "gzip", hashlib.sha256(body).hexdigest()]
    mac = hmac.new(bytes.fromhex(DSN.password), "\n".join(signed).encode(), hashlib.sha256).hexdigest()
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip",
               "Logystera-Signature": f"v1 site={SITE},key={KEY},ts={signed[6]},batch={batch},sig={mac}"}
    try:
        response = urllib.request.build_opener(AnyStatus).open(urllib.request.Request(URL, body, headers), timeout=60)
        answer = json.loads(response.read(1 << 18))
        return response.status, answer, answer["server_time"] - now_ms, response.headers["Retry-After"]
    except (OSError, ValueError, LookupError, TypeError, http.client.HTTPException):
        return 0, {}, 0, None

DSN, PATH = urllib.parse.urlsplit(open(sys.argv[1]).read().strip()), sys.argv[2]
(SITE, KEY), AUDIENCE = DSN.username.split("."), urllib.parse.parse_qs(DSN.query)["audience"][0]
URL, failures, strange, drawn, skewed = f"{DSN.scheme}://{DSN.netloc.rpartition('@')[2]}/v1/batches", 0, 0, 0, False
assert DSN.scheme == "https" or DSN.hostname in ("127.0.0.1", "::1", "localhost"), "http:// only to this machine"
fcntl.flock(lock := open(PATH + ".lock", "w"), fcntl.LOCK_EX)  # one sender per spool
state = json.load(open(PATH)) if os.path.exists(PATH) else {"owner": None, "pending": [], "through": -1, "offset_ms": 0}
state["through"] = -1 if state["through"] > time.time() * 1000 + 300_000 else state["through"]  # the clock was wrong
if state["owner"] != (owner := [URL, SITE, socket.gethostname()]):  # a clone or a move draws a new spool
    state.update(owner=owner, spool=os.urandom(8).hex(), seq=0, batch=None, limit=1000, tried="")
signals, room = [json.loads(line) for line in sys.stdin if line.strip()], max(0, 20_000 - len(state["pending"]))
add(signals[:room]), drop(signals[room:], "overflow"), save()
while state["pending"]:
    state["batch"] or claim()
    first, state["tried"] = state.get("tried", state["batch"]["id"]) != state["batch"]["id"], state["batch"]["id"]
    save()  # on disk before the first byte leaves: the batch, and that it is tried
    status, answer, drift_ms, asked_s = post(state["batch"]["id"], base64.b64decode(state["batch"]["body"]))
    status == 410 and sys.exit("the gateway closed this site: tell the operator, send nothing more")
    state["offset_ms"] += round(drift_ms / 1000) * 1000 if abs(drift_ms) > 2000 else 0
    count, skewed = state["batch"]["count"], answer.get("code") == "clock_skew" and not skewed
    used = status == 409 or (status == 200 and first and not answer.get("same"))  # by a copy, or before a backup
    if status in (202, 400, 415, 422) or (status == 200 and not used) or (status == 413 and count == 1):  # final
        print(status, state["batch"]["id"], answer.get("code", ""), answer.get("refused", ""), file=sys.stderr)
        own, state["pending"], failures, strange, drawn = state["pending"][:count], state["pending"][count:], 0, 0, 0
        drop(own if status >= 400 else [], "refused") or state.update(batch=None)
    elif status == 413 or (used and drawn < 3):  # too large: in two; somebody else's number: anew, elsewhere
        state.update({"limit": count // 2} if status == 413 else {"spool": os.urandom(8).hex(), "seq": 0}, batch=None)
        drawn += status != 413
    elif not skewed:  # not final (a corrected clock: at once): the same id and bytes again, later
        failures, strange = min(failures + (not asked_s), 8), strange + 1 if status in (401, 404, 405) else 0
        wait_s = 5 if 0 < strange < 4 else 3600 if strange or failures == 8 else random.uniform(0, 15 * 2 ** failures)
        time.sleep(max(1, min(3600, int(asked_s))) if asked_s else wait_s)
    save()
