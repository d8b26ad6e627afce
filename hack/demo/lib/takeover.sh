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
  if ! wait_until_stored 30; then # without them the rows would not be complete, and NATS' files are removed afterwards
    echo "demo: the last events of the processes are not stored; $processes/*.log say why" >&2
    return 1
  fi
  processes_stop
  restore_rows
}

create_suspended_bot() {
  kubectl patch --local -f config/samples/roseybot.yaml --type merge -p '{"spec":{"suspend":true}}' -o yaml |
    kubectl apply --namespace "$namespace" -f - >/dev/null
  kubectl --namespace "$namespace" wait roseybot/movienight --for=condition=Ready --timeout=120s >/dev/null
}

restore_rows() {
  local job=movienight-db-restore said
  rm -f "$processes/backup.db"
  rosey db backup "$processes/backup.db" --config "$processes/database.yaml" >/dev/null
  kubectl --namespace "$namespace" delete job "$job" --ignore-not-found >/dev/null # of an interrupted run
  kubectl --namespace "$namespace" get deployment movienight-db -o yaml |
    rosey job -f - --stdin -- db restore - --config /etc/rosey/database.yaml |
    kubectl --namespace "$namespace" create -f - >/dev/null
  kubectl --namespace "$namespace" wait "job/$job" --for=jsonpath='{.status.ready}'=1 --timeout=120s >/dev/null
  # An attach whose connection ends late fails, although the job has all it needs.
  said=$(kubectl --namespace "$namespace" attach -i "job/$job" <"$processes/backup.db" 2>&1 >/dev/null) || true
  if ! wait_for_job "$job"; then
    echo "demo: the rows cannot be restored; the job says:" >&2
    kubectl --namespace "$namespace" logs "job/$job" >&2 || true
    [ -z "$said" ] || echo "and 'kubectl attach' said: $said" >&2
    return 1
  fi
  kubectl --namespace "$namespace" delete job "$job" >/dev/null
}

# wait_for_job JOB: waits until a job is complete; fails if the job does, or takes two minutes.
wait_for_job() {
  local deadline=$((SECONDS + 120)) conditions=
  until [[ $conditions == *Complete* ]]; do
    [[ $conditions != *Failed* ]] && [ "$SECONDS" -lt "$deadline" ] || return
    sleep 0.5
    conditions=$(kubectl --namespace "$namespace" get job "$1" \
      -o 'jsonpath={.status.conditions[?(@.status=="True")].type}') || return
  done
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
