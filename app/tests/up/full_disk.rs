//! A disk that is full, for real: a file system of a few megabytes in memory, in a mount namespace of its own.

use crate::support::Folder;

/// Fills the disk while `up` runs on it, then revokes a key, with `up` and without, and makes room again.
const SCRIPT: &str = r#"
set -e
mkdir -p disk && mount -t tmpfs -o size=24m tmpfs disk || exit 77
export LOGYSTERA_DATA=disk/data
$BIN up --listen 127.0.0.1:0 --admin-listen 127.0.0.1:0 > up.out 2> up.log &
UP=$!
for i in $(seq 600); do grep -q Watch: up.out && break; sleep 0.1; done
$BIN site add Shop > /dev/null
$BIN site rotate-key shop > /dev/null
cat /dev/zero > disk/filler 2> /dev/null || true
for i in $(seq 100); do grep -q "the log could not be written" up.log && break; sleep 0.2; dd if=/dev/zero bs=4k >> disk/filler 2> /dev/null || true; done
echo "full"
$BIN site revoke-key shop k1 && echo "revoked with up"
sleep 2
$BIN site revoke-key shop k2 --stolen && echo "revoked again"
rm disk/filler
for i in $(seq 100); do grep -q "there is room on the disk again" up.log && break; sleep 0.2; done
grep -q "there is room on the disk again" up.log && echo "room again"
$BIN site add Other > /dev/null && echo "added"
$BIN site rotate-key other > /dev/null
mkdir small && mount -t tmpfs -o size=4k tmpfs small && cat /dev/zero > small/filler 2> /dev/null || true
$BIN site add Lost --dsn-file small/lost.dsn > /dev/null 2> lost.err || grep -q "nothing was changed" lost.err && test ! -e small/lost.dsn && echo "no secret lost"
kill $UP; wait $UP && echo "ended well"
cat /dev/zero > disk/filler 2> /dev/null || true
$BIN site revoke-key other k1 && echo "revoked without up"
rm disk/filler
$BIN site list --json
$BIN replay --verify > /dev/null && echo "verified"
"#;

#[test]
fn a_full_disk_refuses_no_revocation() {
    let folder = Folder::new();
    let quoted = SCRIPT.replace('\'', "'\\''");
    let script = format!("BIN={} unshare --map-root-user --mount sh -c '{quoted}'", env!("CARGO_BIN_EXE_logystera"));
    let ran = folder.shell(&script);
    let (out, err) = (String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    if ran.status.code() == Some(77) || err.contains("unshare") {
        eprintln!("passed over: this system lets nobody mount a file system in a namespace: {err}");
        return;
    }
    let log = std::fs::read_to_string(folder.path("up.log")).unwrap_or_default();
    let told: Vec<_> = out.lines().filter(|line| !line.starts_with("Revoked") && !line.starts_with('{')).collect();
    let expected = [
        "full",
        "revoked with up",
        "revoked again",
        "room again",
        "added",
        "no secret lost",
        "ended well",
        "revoked without up",
        "verified",
    ];
    assert_eq!(told, expected, "{out}\n{err}\n{log}");
    let states: Vec<_> = out.lines().filter(|l| l.starts_with('{')).map(|l| l.matches("\"revoked\"").count()).collect();
    assert_eq!(states, [1, 1], "one revoked key of each site, and one stolen one:\n{out}");
    assert!(!log.contains("batches are still taken"), "{log}");
}
