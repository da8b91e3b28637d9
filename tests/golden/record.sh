#!/usr/bin/env bash
# Records topic `signals` of a stopped installation as a golden log: record.sh DATA_FOLDER NAME
# Then: INSTA_UPDATE=always cargo test -p logystera-processor --test golden, and read what it wrote.
set -euo pipefail
data=${1:?the data folder of an installation that is not running}
name=${2:?the name of the recording}
here=$(cd "$(dirname "$0")" && pwd)
db=$data/logystera.sqlite
sqlite3 "$db" "SELECT lower(hex(value)) FROM log_signals ORDER BY offset" | gzip -9n > "$here/$name.log.gz"
# The body of a configuration follows its digest (32 bytes) and its length in the record of topic control.
python3 - "$db" > "$here/$name.rules.ndjson" <<'PY'
import sqlite3, sys
for (value,) in sqlite3.connect(sys.argv[1]).execute("SELECT value FROM log_control WHERE CAST(key AS TEXT) LIKE 'rules/%' ORDER BY offset"):
    at, shift, length = 10 + 32, 0, 0
    while True:
        byte = value[at]; at += 1
        length |= (byte & 0x7F) << shift; shift += 7
        if byte < 0x80: break
    print(value[at:at + (length >> 1)].decode())
PY
echo "$here/$name: $(zcat "$here/$name.log.gz" | wc -l) records, $(wc -l < "$here/$name.rules.ndjson") configurations"
