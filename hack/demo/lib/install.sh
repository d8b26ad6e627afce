# shellcheck shell=bash
# Everything that stands in the cluster before people come.

provide_cluster() {
  if [ "$own_cluster" = yes ]; then
    say "using the cluster of $kubeconfig"
    say "it needs these images; load them now ('kind load image-archive', 'minikube image load', 'ctr -n k8s.io images import'):"
    printf '          %s\n' "$images"/*.tar
    return
  fi
  say "starting Kubernetes in namespaces of its own (cluster '$cluster_name')"
  hack/cluster/cluster up --name "$cluster_name"
  kubeconfig=$(hack/cluster/cluster kubeconfig --name "$cluster_name")
  say "loading images"
  hack/cluster/cluster load-image --name "$cluster_name" "$images"/*.tar >/dev/null
}

# Applies a manifest of ours with the image of this build.
apply_with_image() { # FILE IMAGE
  sed "s|image: IMAGE|image: $2|" "hack/demo/manifests/$1" | kubectl apply --namespace "$namespace" -f - >/dev/null
}

install_nats() {
  say "NATS with JetStream, in namespace $namespace"
  make_namespace "$namespace"
  apply_with_image nats.yaml "rosey.local/nats:${nats_version#v}"
}

# make_namespace NAME: nothing runs in it that breaks the restricted Pod Security Standard.
make_namespace() {
  kubectl apply -f - >/dev/null <<EOF
apiVersion: v1
kind: Namespace
metadata: {name: $1, labels: {pod-security.kubernetes.io/enforce: restricted}}
EOF
}

# The bot's password is made here and known to the CyTube server and to the bot's Secret only.
install_cytube() {
  say "a CyTube server, with an account for the bot"
  local password
  password=$(od -An -N12 -tx1 /dev/urandom | tr -d ' \n')
  apply_secret cytube-accounts accounts.yaml <<<"[{name: Rosey, password: $password, rank: 3}]"
  apply_secret rosey-account password <<<"$password"
  apply_with_image cytube.yaml "rosey.local/cytube:$version"
  # A server that runs already knows the account's old password only.
  kubectl --namespace "$namespace" rollout restart deployment/cytube >/dev/null
  kubectl --namespace "$namespace" rollout status deployment/cytube deployment/nats --timeout=300s >/dev/null
}

# Makes a Secret of standard input, so that the secret is on no command line.
apply_secret() { # NAME KEY
  kubectl --namespace "$namespace" create secret generic "$1" --from-file="$2=/dev/stdin" --dry-run=client -o yaml |
    kubectl apply -f - >/dev/null
}

install_operator() {
  say "the operator, by Helm"
  make_namespace "$operator_namespace"
  helm upgrade --install rosey-operator charts/rosey-operator \
    --namespace "$operator_namespace" --wait --timeout 120s \
    --set image.repository=rosey.local/operator,image.tag="$version" \
    --set runtime.image=rosey.local/rosey:"$version" >/dev/null
}

install_bot() {
  say "kubectl apply -f config/samples/roseybot.yaml"
  kubectl apply --namespace "$namespace" -f config/samples/roseybot.yaml >/dev/null
  if ! kubectl --namespace "$namespace" wait roseybot/movienight --for=condition=Ready --timeout=120s >/dev/null; then
    kubectl --namespace "$namespace" describe roseybot movienight >&2
    kubectl --namespace "$namespace" get pods >&2
    return 1
  fi
  say "the bot is in the channel"
}
