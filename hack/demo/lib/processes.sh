# shellcheck shell=bash
# Runs the same bot, database service, NATS and CyTube server as plain processes on loopback, for a machine that cannot
# run a cluster.

processes_dir() { echo "${XDG_STATE_HOME:-$HOME/.local/state}/rosey/demo"; }

nats_port=14222
cytube_port=18880
bot_port=18081
database_port=18082

processes_up() {
  processes_down
  processes=$(processes_dir)
  mkdir -p "$processes/data"
  chmod 700 "$processes"
  say "building rosey, nats-server and the CyTube server"
  CGO_ENABLED=0 go build -trimpath -o "$processes/" ./cmd/rosey
  CGO_ENABLED=0 go build -trimpath -o "$processes/cytube-server" ./hack/cytube
  CGO_ENABLED=0 go build -trimpath -o "$processes/nats-server" github.com/nats-io/nats-server/v2
  write_process_config
  say "starting NATS, the CyTube server, the database service and the bot on 127.0.0.1"
  start_process nats "$processes/nats-server" -a 127.0.0.1 -p "$nats_port" -js -sd "$processes/nats-data"
  start_process cytube "$processes/cytube-server" -listen "127.0.0.1:$cytube_port" -channel movienight \
    -accounts-file "$processes/accounts.yaml"
  start_process database "$processes/rosey" db --config "$processes/database.yaml"
  start_process bot "$processes/rosey" bot --config "$processes/bot.yaml"
  wait_until_ready "$bot_port"
  say "the bot is in the channel"
  run_audience "$seconds" script_request_on_loopback
  show_processes
}

write_process_config() {
  local password common
  password=$(od -An -N12 -tx1 /dev/urandom | tr -d ' \n')
  (
    umask 077
    echo "[{name: Rosey, password: $password, rank: 3}]" >"$processes/accounts.yaml"
    echo "$password" >"$processes/password"
  )
  common="channel: {server: 'http://127.0.0.1:$cytube_port', name: movienight}
nats: {url: 'nats://127.0.0.1:$nats_port'}"
  cat >"$processes/bot.yaml" <<EOF
$common
account: {username: Rosey, passwordFile: '$processes/password'}
http: {address: '127.0.0.1:$bot_port'}
EOF
  cat >"$processes/database.yaml" <<EOF
$common
database: {sqlite: {path: '$processes/data/rosey.db'}}
http: {address: '127.0.0.1:$database_port'}
EOF
}

# start_process NAME COMMAND...
start_process() {
  local name=$1
  shift
  nohup "$@" >"$processes/$name.log" 2>&1 </dev/null &
  echo "$!" >"$processes/$name.pid"
}

# request METHOD PORT PATH [BODY]: prints the response of a server on loopback; fails unless its status is 2xx. It does
# not need curl, which a machine may lack.
request() {
  local connection status body=${4:-}
  { exec {connection}<>"/dev/tcp/127.0.0.1/$2"; } 2>/dev/null || return 1
  printf '%s %s HTTP/1.0\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%s' "$1" "$3" "${#body}" "$body" >&"$connection"
  read -r _ status _ <&"$connection"
  cat <&"$connection"
  exec {connection}>&-
  [[ $status == 2* ]]
}

# wait_until_ready PORT
wait_until_ready() {
  local deadline=$((SECONDS + 30))
  until request GET "$1" /readyz >/dev/null; do
    [ "$SECONDS" -lt "$deadline" ] || { echo "demo: port $1 is not ready; see $processes/*.log" >&2; return 1; }
    sleep 0.2
  done
}

# script_request_on_loopback METHOD [BODY]
script_request_on_loopback() { request "$1" "$cytube_port" /simulator/channels/movienight/script "${2:-}"; }

show_processes() {
  [ "$show_end" = yes ] || return 0
  say "the bot's database, from 'rosey db show':"
  "$processes/rosey" db show --config "$processes/database.yaml" --limit 10
  cat <<EOF

What to try next:
  curl http://127.0.0.1:$bot_port/status   # the bot's status; port $database_port has the database service's
  less $processes/*.log   # logs; [NATS] marks each database request
  $processes/rosey db show --config $processes/database.yaml

Stop the processes and remove all files:
  make demo-down
EOF
}

processes_down() {
  local dir pid file
  dir=$(processes_dir)
  [ -d "$dir" ] || return 0
  for file in "$dir"/*.pid; do
    [ -e "$file" ] || continue
    pid=$(cat "$file")
    # Another process may have this ID by now. Stop it only if its program is in the demo's directory.
    case $(readlink "/proc/$pid/exe" 2>/dev/null || ps -o comm= -p "$pid" 2>/dev/null) in
      "$dir"/*) kill "$pid" 2>/dev/null && wait_for_exit "$pid" ;;
    esac
  done
  rm -rf "$dir"
  rmdir "${dir%/*}" 2>/dev/null || true
}

# wait_for_exit PID: kills the process if it does not stop by itself.
wait_for_exit() {
  local deadline=$((SECONDS + 25))
  while kill -0 "$1" 2>/dev/null; do
    [ "$SECONDS" -lt "$deadline" ] || { kill -9 "$1"; return; }
    sleep 0.1
  done
}
