#!/usr/bin/env bash
# Records seeds of the simulator as golden logs: record_sim.sh SEED...
# `days` is no seed's: `sim --record-days` made it. `semantics-2` and `worse` are stories of processor/tests/timelines/ (story.rs, escalations.rs), which say how.
# A recording that is there stays as it is, whatever becomes of the simulator's generator: only new ones are recorded.
# Then: INSTA_UPDATE=always cargo test -p logystera-processor --test golden, and read what it wrote.
set -euo pipefail
[ $# -gt 0 ] || { sed -n '2,4s/^# //p' "$0"; exit 2; }
here=$(cd "$(dirname "$0")" && pwd)
for seed in "$@"; do
  [ ! -e "$here/sim-$seed.log.gz" ] || { echo "sim-$seed is there already" >&2; exit 1; }
  cargo run --quiet -p logystera-sim --bin sim -- --seed "$seed" --record "$here"
  gzip -9n "$here/sim-$seed.log"
done
