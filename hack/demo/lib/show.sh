# shellcheck shell=bash
# Shows the result, and commands to try next.

show_result() {
  local make_down="make demo-down"
  [ "$own_cluster" = no ] || make_down="make demo-down KUBECONFIG=$kubeconfig"
  echo
  say "the bot, from 'kubectl get roseybots':"
  kubectl --namespace "$namespace" get roseybots
  echo
  say "the bot's database, from 'kubectl exec deploy/movienight-db -- rosey db show':"
  kubectl --namespace "$namespace" exec deploy/movienight-db -- \
    rosey db show --config /etc/rosey/database.yaml --limit 10
  cat <<EOF

What to try next:
  export KUBECONFIG=$kubeconfig${tools:+ PATH=$tools:\$PATH}
  kubectl config set-context --current --namespace $namespace
  kubectl describe roseybot movienight                     # conditions and events
  kubectl scale roseybot movienight --replicas=0           # stop the bot; 1 starts it again
  kubectl scale deployment nats --replicas=0               # stop NATS and watch the RoseyBot's status; 1 starts it again
  kubectl logs deploy/movienight-bot -f                    # logs; [NATS] marks each database request
  kubectl explain roseybot.spec                            # the fields of a RoseyBot

Remove everything:
  $make_down

The channel's page, live; this command makes it reachable:
  kubectl port-forward service/movienight-web 8081         # then open http://127.0.0.1:8081/
To say something there, log in with the token: $page_token
EOF
}
