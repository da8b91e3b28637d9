# shellcheck shell=bash
# What the servers of this folder have in common. A script sets the variables below, defines the two functions, sources this
# file and calls `main "$@"`.
#
#   name           of the server: it starts each line that we say
#   asked_folder asked_port asked_version     what the environment asks for, empty where it asks for nothing
#   default_port   the server takes this port
#   ports          and so many in all, one after the other
#   ready_line     what it logs when it serves
#   configure      writes its configuration to $folder and makes an empty $folder/data ready
#   server         sets the array `arguments`: what Java is to run
#
# In the folder: data/ (what --fresh empties), log and log.previous, pid, port, version, lock and what `configure` writes.
# shellcheck disable=SC2154

# Longest times, in seconds. A start takes about ten, a stop about two; these are for machines that do much else.
readonly start_s=120 stop_s=30 kill_s=10 download_s=900
readonly log_lines=25

tree=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd -P)
services=$tree/tests/services
pom=$services/$name.pom.xml

say() { printf '%s: %s\n' "$name" "$*" >&2; }
die() { say "$*"; exit 1; }

die_with_log() {
  say "$1 The end of $folder/log:"
  tail -n "$log_lines" "$folder/log" | sed 's/^/  | /' >&2
  exit 1
}

usage() { awk 'NR > 1 { if (!/^#/) exit; sub(/^# ?/, ""); print }' "$0"; }

# --- What runs -------------------------------------------------------------------------------------------------------------

# The argument by which a process of ours is known. A pid file that outlived its server may name a stranger by now.
mark() { printf -- '-Dlogystera.service=%s:%s' "$name" "$folder"; }

# is_running: sets `pid` to the server of this folder.
is_running() {
  pid=$(cat "$folder/pid" 2>/dev/null) || return 1
  [[ $pid =~ ^[1-9][0-9]*$ ]] || return 1
  if [ -e /proc/self/cmdline ]; then
    grep -zqxF -- "$(mark)" "/proc/$pid/cmdline" 2>/dev/null
  else
    [[ " $(ps -ww -o args= -p "$pid" 2>/dev/null) " == *" $(mark) "* ]]
  fi
}

# state PID: a letter first, T for a paused process and Z for a dead one; nothing where there is none.
state() {
  if [ -e /proc/self/status ]; then
    sed -n 's/^State:[[:space:]]*//p' "/proc/$1/status" 2>/dev/null || true
  else
    ps -o stat= -p "$1" 2>/dev/null || true
  fi
}
is_paused() { [[ $(state "$pid") == T* ]]; }
# Not before this are its ports free.
is_gone() { [[ $(state "$pid") == [ZX]* || -z $(state "$pid") ]]; }

# wait_until SECONDS COMMAND...: tries it until it succeeds or the time is over.
wait_until() {
  local end=$((SECONDS + $1))
  shift
  until "$@"; do
    [ "$SECONDS" -lt "$end" ] || return 1
    sleep 0.1
  done
}

port_answers() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }
# one_answers PORT: sets `taken` to the first of the server's ports from there on that somebody has.
one_answers() {
  for ((taken = $1; taken < $1 + ports; taken++)); do
    if port_answers "$taken"; then return 0; fi
  done
  return 1
}
is_quiet() { ! one_answers "$(cat "$folder/port")"; }
address() { echo "127.0.0.1:$(cat "$folder/port")"; }

# hold DESCRIPTOR FILE SECONDS: waits for the lock on what is open there. Where there is no flock, nothing is held.
hold() {
  command -v flock >/dev/null || return 0
  flock -w "$3" "$1" || die "$2 has been held by another one for $3 s"
}
lock_folder() {
  exec 9>"$folder/lock"
  hold 9 "$folder/lock" $((start_s + stop_s))
}

# --- The jars --------------------------------------------------------------------------------------------------------------

# Brings the jars to `$jars`. They are whole when the pom that named them lies beside them: it comes last, with one rename.
bring_jars() {
  jars=${SERVICES_JARS:-$tree/target/services/jars}
  mkdir -p "$jars"
  jars=$(cd "$jars" && pwd -P)/$name-$version
  have_jars && return 0
  "$services/require" java mvn || exit 1
  # Two instances that start at once bring them once.
  exec 8>"$jars.lock"
  hold 8 "$jars.lock" "$download_s"
  have_jars || download
  exec 8>&-
}

have_jars() { cmp -s "$pom" "$jars/pom.xml"; }

download() {
  say "downloading version $version to $jars, once"
  partial=$jars.partial
  rm -rf "$jars" "$partial"
  mkdir "$partial"
  local bounded=()
  if command -v timeout >/dev/null; then bounded=(timeout --foreground "$download_s"); fi
  ${bounded[@]+"${bounded[@]}"} mvn -q -B -Dstyle.color=never -f "$pom" -Dserver.version="$version" \
    dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory="$partial" >&2 ||
    die "version $version could not be downloaded: Maven says why above"
  cp "$pom" "$partial/pom.xml"
  mv "$partial" "$jars"
}

# --- Commands --------------------------------------------------------------------------------------------------------------

# choose_port: sets `port` to the one that was asked for, or to a free one for 0: the folder's last one where it can be had,
# so that a server that was killed comes back where its clients look for it.
choose_port() {
  port=${asked_port:-$default_port}
  if [ "$port" != 0 ]; then
    if one_answers "$port"; then die "port $taken is taken, and not by the $name of $folder"; fi
    return 0
  fi
  port=$(cat "$folder/port" 2>/dev/null || echo 0)
  local tries=0
  # Below 32768, where systems take the ports of outgoing connections from.
  while [ "$port" = 0 ] || one_answers "$port"; do
    tries=$((tries + 1))
    [ "$tries" -le 100 ] || die "100 ports were tried and none is free"
    port=$((20000 + RANDOM % 10000))
  done
}

serves() {
  kill -0 "$pid" 2>/dev/null || die_with_log "it ended while it started."
  grep -qF "$ready_line" "$folder/log" && port_answers "$port"
}

launch() {
  local arguments=()
  "$services/require" java || exit 1
  java=${JAVA_HOME:+$JAVA_HOME/bin/}java
  bring_jars
  choose_port
  local began=$SECONDS
  if [ -e "$folder/log" ]; then mv "$folder/log" "$folder/log.previous"; fi
  mkdir -p "$folder/data"
  configure
  : >"$folder/log"
  server
  echo "$port" >"$folder/port"
  echo "$version" >"$folder/version"
  # Started in its folder, where a crash of Java leaves its report; without our lock, which it would hold for ever.
  (cd "$folder" && exec nohup "$java" "$(mark)" "${arguments[@]}" >>"$folder/log" 2>&1 9>&-) </dev/null &
  pid=$! starting=$!
  echo "$pid" >"$folder/pid"
  wait_until "$start_s" serves || die_with_log "it does not serve after $start_s s."
  starting=
  say "version $version started in $((SECONDS - began)) s: process $pid, folder $folder"
}

start() {
  mkdir -p "$folder"
  folder=$(cd "$folder" && pwd -P)
  lock_folder
  if is_running && [ "$1" = fresh ]; then stop_running; fi
  if is_running; then
    local port_now version_now
    port_now=$(cat "$folder/port") version_now=$(cat "$folder/version")
    if [[ -n $asked_port && $asked_port != 0 && $asked_port != "$port_now" ]]; then
      die "it runs at port $port_now, not $asked_port: a second one needs a folder of its own"
    fi
    if [ "$version" != "$version_now" ] && [ -n "$asked_version" ]; then
      die "version $version_now runs, not $version: stop it first, or use a folder of its own"
    fi
    if is_paused; then kill -CONT "$pid"; say "it was paused and goes on"; fi
    say "version $version_now runs already: process $pid, folder $folder"
  else
    if [ "$1" = fresh ]; then rm -rf "$folder/data"; fi
    launch
  fi
  address
}

# A paused process is not told of a signal before it goes on.
stop_running() {
  kill -TERM "$pid" && kill -CONT "$pid"
  if ! wait_until "$stop_s" is_gone; then
    say "it did not stop in $stop_s s: killing it"
    kill -KILL "$pid"
    wait_until "$kill_s" is_gone || die "process $pid is still there"
  fi
  rm -f "$folder/pid"
}

stop() {
  if [ -d "$folder" ]; then lock_folder; fi
  if is_running; then stop_running; say "stopped"; else say "it does not run"; fi
}

# The signals of tests need a server to meet: without one they are errors.
demand_running() { is_running || die "it does not run in $folder"; }

kill_hard() {
  demand_running
  kill -KILL "$pid"
  wait_until "$kill_s" is_gone || die "process $pid is still there"
  # Its first thread may be gone while others still hold the sockets.
  wait_until "$kill_s" is_quiet || die "port $(cat "$folder/port") still answers"
  rm -f "$folder/pid"
  say "process $pid killed"
}

pause() {
  demand_running
  kill -STOP "$pid"
  wait_until "$kill_s" is_paused || die "process $pid goes on"
  say "process $pid paused"
}

go_on() {
  demand_running
  kill -CONT "$pid"
  say "process $pid goes on"
}

status() {
  if ! is_running; then say "it does not run"; exit 3; fi
  local doing=runs
  if is_paused; then doing="is paused"; fi
  say "version $(cat "$folder/version") $doing: process $pid, folder $folder"
  address
}

# Leaves neither a server that never came to serve nor half a download.
tidy_up() {
  if [ -n "$starting" ]; then
    kill -KILL "$starting" 2>/dev/null || true
    rm -f "$folder/pid"
  fi
  if [ -n "$partial" ]; then rm -rf "$partial"; fi
}

main() {
  folder=${asked_folder:-$tree/target/services/$name}
  case $folder in /*) ;; *) folder=$PWD/$folder ;; esac
  if [ -d "$folder" ]; then folder=$(cd "$folder" && pwd -P); fi
  # Servers divide lists at these, in settings that have no way to write them otherwise.
  if [[ $folder == *[,:\"\\]* ]]; then die "the folder's name has one of , : \" \\ in it: $folder"; fi
  if [ -n "$asked_port" ] && ! { [[ $asked_port =~ ^(0|[1-9][0-9]{0,4})$ ]] && [ "$asked_port" -le $((65536 - ports)) ]; }; then
    die "$asked_port is no port that has $((ports - 1)) after it"
  fi
  version=${asked_version:-$(sed -n 's:.*<server.version>\(.*\)</server.version>.*:\1:p' "$pom")}
  starting='' partial=''
  trap tidy_up EXIT
  trap 'exit 129' HUP
  trap 'exit 130' INT
  trap 'exit 143' TERM
  case "${1:-} ${2:-}" in
    "start ") start kept ;;
    "start --fresh") start fresh ;;
    "stop ") stop ;;
    "status ") status ;;
    "kill ") kill_hard ;;
    "pause ") pause ;;
    "continue ") go_on ;;
    "--help " | "-h ") usage ;;
    *) usage >&2; exit 2 ;;
  esac
}
