# shellcheck shell=bash
# Runs the same bot, database service, NATS and CyTube server as plain processes on loopback: until the cluster can take
# over, or for good on a machine that cannot run a cluster.

# Everything is below this directory. It is kept when a run is interrupted: the next one goes on with the rows.
processes=$state_root/demo

nats_port=14222
nats_monitoring_port=14223
cytube_port=18880
bot_port=18081
database_port=18082
web_port=18083
web_status_port=18084

# processes_up is the whole demo on a machine that cannot run a cluster.
processes_up() {
  processes_stop
  require_free_ports
  processes_start
  run_audience "$seconds" script_request_on_loopback
  chat_on
  [ "$show_end" = no ] || show_processes
}

# start_early_processes shows something until the cluster takes over.
start_early_processes() {
  say "Kubernetes has to be compiled first. Until it runs, the same bot runs as plain processes"
  processes_stop
  # Whatever is wrong with them, the cluster may work. In a condition, errors end no function.
  if ! { (require_free_ports) && processes_start && chat_on && show_where_to_look; }; then
    say "going on without them: only the cluster will show something"
    processes_stop
    return
  fi
  export repo processes
  export -f rosey stored_lines lines_in_database
  export PROGRESS_ALSO=stored_lines
  say "compiling Kubernetes meanwhile; what is compiled is kept, so this can be interrupted with Ctrl-C"
}

processes_start() {
  mkdir -p "$processes/data"
  chmod 700 "$processes"
  (
    use_build_flags
    compile "compiling rosey, nats-server and the CyTube server" "" "$processes" \
      ./cmd/rosey ./hack/cytube github.com/nats-io/nats-server/v2
  ) || return
  write_process_config
  say "starting NATS, the CyTube server, the database service and the bot on 127.0.0.1"
  start_process nats "$processes/nats-server" -a 127.0.0.1 -p "$nats_port" -m "$nats_monitoring_port" \
    -js -sd "$processes/nats-data"
  start_process cytube "$processes/cytube" -listen "127.0.0.1:$cytube_port" -channel movienight \
    -accounts-file "$processes/accounts.yaml"
  start_process database env -u ROSEY_CACHE "$processes/rosey" db --config "$processes/database.yaml"
  # Rows belong to a server's address. The bot therefore uses the one that the server will have in the cluster, and
  # finds it through its proxy, which is the server itself.
  start_process bot env -u ROSEY_CACHE -u NO_PROXY -u no_proxy -u HTTP_PROXY http_proxy="http://127.0.0.1:$cytube_port" \
    "$processes/rosey" bot --config "$processes/bot.yaml"
  start_process web env -u ROSEY_CACHE "$processes/rosey" web --config "$processes/web.yaml"
  wait_until_ready "$bot_port" || return
  say "the bot is in the channel"
}

# require_free_ports fails and says which port another program uses.
require_free_ports() {
  require_free_port "$nats_port" NATS
  require_free_port "$nats_monitoring_port" "NATS' monitoring"
  require_free_port "$cytube_port" "the CyTube server"
  require_free_port "$bot_port" "the bot's status"
  require_free_port "$database_port" "the database service's status"
  require_free_port "$web_port" "the pages"
  require_free_port "$web_status_port" "the pages' status"
}

require_free_port() { # PORT WHAT
  ! is_listening "$1" || { echo "demo: port $1 of 127.0.0.1, for $2, is in use by another program" >&2; exit 1; }
}

write_process_config() {
  local password common
  password=$(od -An -N12 -tx1 /dev/urandom | tr -d ' \n')
  (
    umask 077
    echo "[{name: Rosey, password: $password, rank: 3}]" >"$processes/accounts.yaml"
    echo "$password" >"$processes/password"
    mkdir -p "$processes/tokens"
    new_token >"$processes/tokens/you"
  )
  common="channel: {server: 'http://cytube.demo.svc.cluster.local:8880', name: movienight}
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
  cat >"$processes/web.yaml" <<EOF
$common
web: {listen: '127.0.0.1:$web_port', tokensDir: '$processes/tokens'}
http: {address: '127.0.0.1:$web_status_port'}
EOF
}

# new_token prints a token for the pages.
new_token() { od -An -N12 -tx1 /dev/urandom | tr -d ' \n'; }

# start_process NAME COMMAND...: in a process group of its own, so that Ctrl-C does not end it before the demo does. The
# process notes its ID itself: if the demo noted it, and were killed before, nobody would find the process.
start_process() {
  local name=$1
  shift
  set -m
  # shellcheck disable=SC2016 # the variables are those of the process
  nohup bash -c 'echo "$$" >"$1" || exit; shift; exec "$@"' _ "$processes/$name.pid" "$@" \
    >"$processes/$name.log" 2>&1 </dev/null &
  set +m
}

# wait_until_ready PORT
wait_until_ready() {
  local deadline=$((SECONDS + 60))
  until request GET "$1" /readyz >/dev/null; do
    if [ "$SECONDS" -ge "$deadline" ]; then
      echo "demo: the bot is not ready; $processes/*.log say why. 'make demo-down' removes the rows of earlier runs" >&2
      return 1
    fi
    sleep 0.2
  done
}

# script_request_on_loopback METHOD [BODY]
script_request_on_loopback() { request "$1" "$cytube_port" /simulator/channels/movienight/script "${2:-}"; }

# chat_on lets people chat for a week, or until the CyTube server ends.
chat_on() {
  local response
  response=$(script_request_on_loopback POST '{"seconds":604800,"seed":1}') || {
    echo "demo: the CyTube server lets nobody chat: $response" >&2
    return 1
  }
}

# rosey runs the program of the processes. It warns of variables that begin with ROSEY_ and are no settings of its own.
rosey() { env -u ROSEY_CACHE "$processes/rosey" "$@"; }

# stored_lines prints how many lines of chat are in the processes' database.
stored_lines() { echo "$(lines_in_database) lines of chat stored"; }

lines_in_database() {
  rosey db show --config "$processes/database.yaml" --limit 0 --output json 2>/dev/null |
    grep -c '"html":' || true
}

# show_first_line waits for the first line of chat in the database and shows it.
show_first_line() {
  local deadline=$((SECONDS + 30))
  until [ "$(lines_in_database)" -gt 0 ]; do
    [ "$SECONDS" -lt "$deadline" ] || { echo "demo: no line of chat is stored; see $processes/*.log" >&2; return 1; }
    sleep 0.2
  done
  say "people chat. The first line in the database:"
  rosey db show --config "$processes/database.yaml" --limit 1 | sed -n '/^Last lines/{n;n;s/^ */          /p}'
}

show_where_to_look() {
  show_first_line || return
  say "have a look:"
  cat <<EOF
          http://127.0.0.1:$web_port/   # the channel's page, for everybody on this machine
          http://127.0.0.1:$bot_port/process   # the bot's status page
          $processes/rosey tail --nats nats://127.0.0.1:$nats_port   # what the bot sends, as it happens
          $processes/rosey db show --config $processes/database.yaml
EOF
}

show_processes() {
  say "the bot's database, from 'rosey db show':"
  rosey db show --config "$processes/database.yaml" --limit 10
  cat <<EOF

What to try next:
  http://127.0.0.1:$bot_port/process   # the bot's status page; port $database_port has the database service's
  $processes/rosey tail --nats nats://127.0.0.1:$nats_port   # what the bot sends, as it happens
  $processes/rosey say hello --nats nats://127.0.0.1:$nats_port
  $processes/rosey db show --config $processes/database.yaml
  less $processes/*.log   # logs

Stop the processes and remove all files:
  make demo-down

The channel's page, live:
  http://127.0.0.1:$web_port/
To say something there, log in with the token: $(cat "$processes/tokens/you")
EOF
}

# processes_stop stops the processes and keeps their files. The bot goes first, so that its last events are stored.
processes_stop() {
  stop_processes web bot
  wait_until_stored 10 || say "the last events of the processes may not be stored"
  stop_processes database cytube nats
}

# wait_until_stored SECONDS: waits until the database service has stored what a bot has sent before it ended.
wait_until_stored() {
  local deadline=$((SECONDS + $1))
  until [ "$(waiting_events)" = 0 ]; do
    [ "$SECONDS" -lt "$deadline" ] || return
    sleep 0.1
  done
}

# waiting_events prints how many events the database service has still to store, as NATS knows it at this moment; 0 if
# neither of them runs, and nothing if that cannot be read. The service's own metrics are up to 10 s old.
waiting_events() {
  if ! running_process nats >/dev/null && ! running_process database >/dev/null; then
    echo 0
    return
  fi
  { request GET "$nats_monitoring_port" '/jsz?consumers=true' || true; } |
    awk -F '[:,]' '/"num_(ack_)?pending":/ { found = 1; sum += $2 } END { if (found) print sum }'
}

# stop_processes NAME…
stop_processes() {
  local name pid pids=()
  for name in "$@"; do
    pid=$(running_process "$name") || continue
    kill "$pid" 2>/dev/null && pids+=("$pid")
  done
  for pid in "${pids[@]}"; do wait_for_exit "$pid" 25; done
  for name in "$@"; do rm -f "$processes/$name.pid"; done
}

# running_process NAME prints its process ID. Another process may have the recorded one by now, but its program is not in
# the demo's directory. One that has just been started is still the shell that notes the ID.
running_process() {
  local pid
  pid=$(cat "$processes/$1.pid" 2>/dev/null) || return 1
  case $(readlink "/proc/$pid/exe" 2>/dev/null || ps -o comm= -p "$pid" 2>/dev/null) in
    "$processes"/*) echo "$pid" ;;
    *)
      [[ $(ps -o args= -p "$pid" 2>/dev/null || tr '\0' ' ' 2>/dev/null <"/proc/$pid/cmdline") == \
        *" $processes/$1.pid "* ]] && echo "$pid"
      ;;
  esac
}

processes_down() {
  processes_stop
  rm -rf "$processes"
  rmdir "$state_root" 2>/dev/null || true
}
