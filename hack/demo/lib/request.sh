# shellcheck shell=bash
# HTTP on loopback without curl, which a machine may lack.

# request METHOD PORT PATH [BODY]: prints the response of a server on loopback; fails unless its status is 2xx.
request() {
  local connection status body=${4:-}
  { exec {connection}<>"/dev/tcp/127.0.0.1/$2"; } 2>/dev/null || return 1
  printf '%s %s HTTP/1.0\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%s' "$1" "$3" "${#body}" "$body" >&"$connection"
  read -r _ status _ <&"$connection"
  cat <&"$connection"
  exec {connection}>&-
  [[ $status == 2* ]]
}

# is_listening PORT: whether some program listens on that port of loopback.
is_listening() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }
