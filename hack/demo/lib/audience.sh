# shellcheck shell=bash
# People who join, chat and leave, played by the CyTube server.

# run_audience SECONDS ASK: ASK is a function that asks the server for its script, GET or POST with a body.
run_audience() {
  [ "$1" -gt 0 ] || return 0
  say "people join, chat and leave for $1 s"
  "$2" POST "{\"seconds\":$1,\"seed\":1,\"pace_ms\":150}" >/dev/null
  local deadline=$((SECONDS + $1 + 30))
  while "$2" GET | grep -q '"state": *"running"'; do
    [ "$SECONDS" -lt "$deadline" ] || { echo "demo: the audience does not end" >&2; return 1; }
    sleep 1
  done
}

# ask_in_cluster METHOD [BODY]: through the API server, so that this works on any cluster.
ask_in_cluster() {
  local script=/api/v1/namespaces/demo/services/cytube:http/proxy/simulator/channels/movienight/script
  case $1 in
    GET) kubectl get --raw "$script" ;;
    POST) kubectl create --raw "$script" -f - <<<"$2" ;;
  esac
}
