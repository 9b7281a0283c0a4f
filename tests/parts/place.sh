# Sourced by the scripts beside it: where parts live, how a part is started so that it can be stopped again.
# Not for: running by itself.
set -euo pipefail

here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
root="$(cd "$here/../.." && pwd)"
# Everything downloaded goes here; a shared folder saves the downloads between clones.
parts="${SILLAGE_PARTS:-$root/target/parts}"
mkdir -p "$parts"
parts="$(cd "$parts" && pwd)"

say() { printf 'parts: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

# Root needs no sudo; anybody else is told why it asks.
as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; return; fi
  command -v sudo >/dev/null || die "needs root for: $*  (no sudo here: run that line as root, then again)"
  say "sudo: $*"
  sudo "$@"
}

# Skips an install whose stamp (the text that pins it) is unchanged.
installed() { [ "$(cat "$parts/$1.stamp" 2>/dev/null)" = "$2" ]; }
stamp() { printf '%s' "$2" > "$parts/$1.stamp"; }

port_open() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# launch DIR COMMAND...: in a session of its own, its pid in DIR/pid, its output in DIR/log.
# With SILLAGE_OWNER=PID it is ended when that process is gone, so that a killed test run leaves nothing behind.
launch() {
  local dir="$1"; shift
  setsid "$@" >>"$dir/log" 2>&1 </dev/null &
  local pid=$!
  disown "$pid"
  echo "$pid" > "$dir/pid"
  if [ -n "${SILLAGE_OWNER:-}" ]; then
    setsid bash -c 'while kill -0 "$1" 2>/dev/null && kill -0 "$2" 2>/dev/null; do sleep 1; done; kill "$2" 2>/dev/null' \
      leash "$SILLAGE_OWNER" "$pid" >/dev/null 2>&1 </dev/null &
    disown $!
  fi
}

# await_port DIR PORT SECONDS: until it listens; the end of its log when it doesn't.
await_port() {
  local dir="$1" port="$2" tries=$(( $3 * 10 ))
  for _ in $(seq "$tries"); do
    if port_open "$port"; then return; fi
    kill -0 "$(cat "$dir/pid")" 2>/dev/null || { tail -20 "$dir/log" >&2; die "it ended before port $port opened; the end of $dir/log is above"; }
    sleep 0.1
  done
  tail -20 "$dir/log" >&2
  die "port $port did not open within $3 s; the end of $dir/log is above"
}

# halt DIR: TERM to the stored pid, KILL after 20 s. Never by name.
halt() {
  local dir="$1" pid
  [ -f "$dir/pid" ] || return 0
  pid="$(cat "$dir/pid")"
  rm -f "$dir/pid"
  kill "$pid" 2>/dev/null || return 0
  for _ in $(seq 200); do kill -0 "$pid" 2>/dev/null || return 0; sleep 0.1; done
  kill -9 "$pid" 2>/dev/null || true
}
