# shellcheck shell=bash
# Moves the channel and its rows from the processes to the cluster, with the commands that docs/tasks/database.md has for
# a backup that is elsewhere.

# processes_have_rows reports whether there are processes to take over, of this run or of one that was interrupted.
processes_have_rows() { [ "$own_cluster" = no ] && [ "$cluster_name" = demo ] && [ -e "$processes/data/rosey.db" ]; }

# take_over leaves a RoseyBot that is suspended and has the rows. An interrupted one begins again: the RoseyBot is
# suspended until it has them.
take_over() {
  local suspended
  suspended=$(kubectl --namespace "$namespace" get roseybot movienight --ignore-not-found \
    -o 'jsonpath={.metadata.name}:{.spec.suspend}')
  if [ "$suspended" = movienight: ]; then
    say "the cluster has a bot with rows of its own: removing the processes and theirs"
    processes_down
    return
  fi
  say "the cluster takes over the channel: the processes end, and their rows move into the cluster's database"
  create_suspended_bot
  stop_processes bot
  wait_until_stored
  processes_stop
  restore_rows
}

create_suspended_bot() {
  kubectl patch --local -f config/samples/roseybot.yaml --type merge -p '{"spec":{"suspend":true}}' -o yaml |
    kubectl apply --namespace "$namespace" -f - >/dev/null
  kubectl --namespace "$namespace" wait roseybot/movienight --for=condition=Ready --timeout=120s >/dev/null
}

# wait_until_stored waits until the database service has stored what the bot has sent before it ended.
wait_until_stored() {
  local deadline=$((SECONDS + 30))
  until [ "$(waiting_events)" = 0 ]; do
    [ "$SECONDS" -lt "$deadline" ] || { say "the last events of the processes were not stored in time"; return; }
    sleep 0.2
  done
}

# waiting_events prints how many events the database service has still to store; 0 if it does not run any more.
waiting_events() {
  is_listening "$database_port" || { echo 0; return; }
  request GET "$database_port" /metrics |
    awk '/^rosey_database_(stream_pending_events|stream_unacknowledged_events|waiting_messages) / { sum += $2 } END { print sum + 0 }'
}

restore_rows() {
  local job=movienight-db-restore
  rm -f "$processes/backup.db"
  rosey db backup "$processes/backup.db" --config "$processes/database.yaml" >/dev/null
  kubectl --namespace "$namespace" delete job "$job" --ignore-not-found >/dev/null # of an interrupted run
  kubectl --namespace "$namespace" get deployment movienight-db -o yaml |
    rosey job -f - --stdin -- db restore - --config /etc/rosey/database.yaml |
    kubectl --namespace "$namespace" create -f - >/dev/null
  kubectl --namespace "$namespace" wait "job/$job" --for=jsonpath='{.status.ready}'=1 --timeout=120s >/dev/null
  kubectl --namespace "$namespace" attach -i "job/$job" <"$processes/backup.db" >/dev/null 2>&1
  if ! kubectl --namespace "$namespace" wait "job/$job" --for=condition=Complete --timeout=120s >/dev/null; then
    kubectl --namespace "$namespace" logs "job/$job" >&2
    return 1
  fi
  kubectl --namespace "$namespace" delete job "$job" >/dev/null
}

# end_take_over removes the processes once the bot of the cluster runs and has their rows.
end_take_over() {
  local before after
  before=$(lines_in_database)
  after=$(kubectl --namespace "$namespace" exec deploy/movienight-db -- \
    rosey db show --config /etc/rosey/database.yaml --limit 0 --output json | grep -c '"html":' || true)
  if [ "$after" -lt "$before" ]; then
    echo "demo: the cluster's database has $after lines of chat, fewer than the $before of the processes" >&2
    return 1
  fi
  say "the cluster's bot is in the channel, with the $before lines of chat that the processes had stored"
  processes_down
}
