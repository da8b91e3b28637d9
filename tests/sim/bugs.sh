#!/bin/sh
# Plants each bug of tests/sim/bugs/ in a copy of the tree, one at a time, and demands that the simulator finds it.
#
#   tests/sim/bugs.sh [NAME...]      all bugs, or those named
#
# A bug is a file of three lines: what is wrong, the file, and a `sed -E` command. Environment:
#   SIM_BUGS_SCRATCH   folder for the copy and the build (default: a new one that is removed at the end)
#   SIM_BUGS_SEEDS     seeds within which a bug must be found (default 10000)
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
seeds=${SIM_BUGS_SEEDS:-10000}
if [ -n "${SIM_BUGS_SCRATCH:-}" ]; then
    scratch=$SIM_BUGS_SCRATCH
    mkdir -p "$scratch"
else
    scratch=$(mktemp -d)
    trap 'rm -rf "$scratch"' EXIT
fi
tree=$scratch/tree
# Files are new (-m): what an earlier run built with a bug in it must not pass for this tree.
rm -rf "$tree"
mkdir -p "$tree"
(cd "$root" && git ls-files -z | tar --null -cf - -T -) | tar xmf - -C "$tree"

run() {
    (cd "$tree" && CARGO_INCREMENTAL=1 CARGO_TARGET_DIR="$scratch/target" cargo build -q -p logystera-sim 2> "$scratch/build.log") || return 2
    "$scratch/target/debug/sim" --quiet --seeds "$1"
}

if ! found=$(run 300); then
    echo "without a bug planted the simulator finds one: $found"
    exit 1
fi

missed=0
[ $# -gt 0 ] || set -- $(cd "$root/tests/sim/bugs" && ls ./*.bug)
for bug in "$@"; do
    name=$(basename "$bug" .bug)
    { read -r what; read -r file; read -r command; } < "$root/tests/sim/bugs/$name.bug"
    cp "$tree/$file" "$scratch/original"
    sed -E "$command" "$scratch/original" > "$tree/$file"
    if cmp -s "$scratch/original" "$tree/$file"; then
        echo "$name: NOT PLANTED, the line that it changes is not there"
        missed=$((missed + 1))
    else
        status=0
        found=$(run "$seeds") || status=$?
        case $status in
        1) echo "$name: $found ($what)" ;;
        0) echo "$name: MISSED in $seeds seeds ($what)"; missed=$((missed + 1)) ;;
        *) echo "$name: DOES NOT BUILD OR CRASHES ($status), see $scratch/build.log"; missed=$((missed + 1)) ;;
        esac
    fi
    cp "$scratch/original" "$tree/$file"
done
[ "$missed" -eq 0 ] || { echo "$missed not found"; exit 1; }
echo "each of $# bugs was found"
