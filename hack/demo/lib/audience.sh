# shellcheck shell=bash
# People who join, chat and leave, played by the CyTube server. It is reached through the API server, so that this
# works on any cluster.

cytube_api=/api/v1/namespaces/demo/services/cytube:http/proxy/simulator/channels/movienight

run_audience() { # SECONDS
  [ "$1" -gt 0 ] || return 0
  say "people join, chat and leave for $1 s"
  printf '{"seconds":%d,"seed":1,"pace_ms":150}' "$1" | kubectl create --raw "$cytube_api/script" -f - >/dev/null
  local deadline=$((SECONDS + $1 + 30))
  while kubectl get --raw "$cytube_api/script" | grep -q '"state": *"running"'; do
    [ "$SECONDS" -lt "$deadline" ] || { echo "demo: the audience does not end" >&2; return 1; }
    sleep 1
  done
}
