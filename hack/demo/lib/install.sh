# shellcheck shell=bash
# Installs everything in the cluster: NATS, CyTube, the operator and the bot.

provide_cluster() {
  if [ "$own_cluster" = yes ]; then
    say "using the cluster of $kubeconfig"
    kubectl get --raw /version >/dev/null || { echo "demo: the cluster of $kubeconfig does not answer" >&2; return 1; }
    return
  fi
  say "starting a local Kubernetes cluster '$cluster_name'"
  hack/cluster/cluster up --name "$cluster_name"
  kubeconfig=$(hack/cluster/cluster kubeconfig --name "$cluster_name")
}

# apply_with_image FILE IMAGE: applies a manifest of hack/demo/manifests with an image of this build.
apply_with_image() {
  sed "s|image: IMAGE|image: $2|" "hack/demo/manifests/$1" | kubectl apply --namespace "$namespace" -f - >/dev/null
}

install_nats() {
  say "installing NATS with JetStream in namespace $namespace"
  create_namespace "$namespace"
  apply_with_image nats.yaml "$(image nats)"
}

# create_namespace NAME: the namespace enforces the restricted Pod Security Standard.
create_namespace() {
  kubectl apply -f - >/dev/null <<EOF
apiVersion: v1
kind: Namespace
metadata: {name: $1, labels: {pod-security.kubernetes.io/enforce: restricted}}
EOF
}

# install_cytube generates the bot's password; only the CyTube server and the bot's Secret have it.
install_cytube() {
  say "installing a CyTube server with an account for the bot"
  local password
  password=$(od -An -N12 -tx1 /dev/urandom | tr -d ' \n')
  apply_secret cytube-accounts accounts.yaml <<<"[{name: Rosey, password: $password, rank: 3}]"
  apply_secret rosey-account password <<<"$password"
  apply_with_image cytube.yaml "$(image cytube)"
  # A server that is already running has read the account's previous password.
  kubectl --namespace "$namespace" rollout restart deployment/cytube >/dev/null
  kubectl --namespace "$namespace" rollout status deployment/cytube deployment/nats --timeout=300s >/dev/null
}

# apply_secret NAME KEY: creates a Secret from standard input, so that its value is on no command line.
apply_secret() {
  kubectl --namespace "$namespace" create secret generic "$1" --from-file="$2=/dev/stdin" --dry-run=client -o yaml |
    kubectl apply -f - >/dev/null
}

install_operator() {
  say "installing the operator with Helm in namespace $operator_namespace"
  local chart=(charts/rosey-operator) values=image.tag=$version,runtime.image=$(image rosey)
  if [ -n "$release" ]; then # its chart has the digests of its images
    chart=("$release"/rosey-operator-*.tgz)
    values=runtime.image=$registry/rosey
  fi
  create_namespace "$operator_namespace"
  helm upgrade --install rosey-operator "${chart[0]}" \
    --namespace "$operator_namespace" --wait --timeout 120s \
    --set-string "image.repository=$registry/operator,$values" >/dev/null
}

install_bot() {
  say "creating a bot: kubectl apply -f config/samples/roseybot.yaml"
  kubectl apply --namespace "$namespace" -f config/samples/roseybot.yaml >/dev/null
  if ! kubectl --namespace "$namespace" wait roseybot/movienight --for=condition=Ready --timeout=120s >/dev/null; then
    kubectl --namespace "$namespace" describe roseybot movienight >&2
    kubectl --namespace "$namespace" get pods >&2
    return 1
  fi
  say "the bot is in the channel"
  install_page
}

# install_page adds the channel's page, with a token for whoever runs the demo.
install_page() {
  page_token=$(new_token)
  apply_secret rosey-web you <<<"$page_token"
  kubectl --namespace "$namespace" patch roseybot movienight --type merge --patch \
    '{"spec":{"web":{"enabled":true,"public":true,"tokensSecretRef":{"name":"rosey-web"}}}}' >/dev/null
}
