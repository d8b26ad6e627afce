# shellcheck shell=bash
# Simulated people who join, chat and leave. The CyTube server runs them from a script.

# run_audience SECONDS REQUEST: REQUEST is a function that sends GET, or POST with a body, to the server's script
# resource.
run_audience() {
  [ "$1" -gt 0 ] || return 0
  say "simulated people join, chat and leave for $1 s"
  "$2" POST "{\"seconds\":$1,\"seed\":1,\"pace_ms\":150}" >/dev/null
  local deadline=$((SECONDS + $1 + 30))
  while "$2" GET | grep '"state": *"running"' >/dev/null; do
    [ "$SECONDS" -lt "$deadline" ] || { echo "demo: the simulated people did not finish in time" >&2; return 1; }
    sleep 1
  done
}

# script_request_in_cluster METHOD [BODY] goes through the API server's proxy, which works on every cluster.
script_request_in_cluster() {
  local script=/api/v1/namespaces/demo/services/cytube:http/proxy/simulator/channels/movienight/script
  case $1 in
    GET) kubectl get --raw "$script" ;;
    POST) kubectl create --raw "$script" -f - <<<"$2" ;;
  esac
}
