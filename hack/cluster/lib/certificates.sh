# The cluster's certificate authority, a certificate for each program, and their kubeconfigs.
# shellcheck shell=bash

make_certificates() {
  mkdir -m 0700 "$PKI"
  cd "$PKI" || exit
  make_key service-accounts
  openssl ec -in service-accounts.key -pubout -out service-accounts.pub 2>/dev/null
  make_authority ca "/CN=rosey-$NAME"

  # The names by which clients inside and outside the cluster reach the API server.
  make_certificate apiserver /CN=kube-apiserver "DNS:localhost,DNS:kubernetes,DNS:kubernetes.default,\
DNS:kubernetes.default.svc,DNS:kubernetes.default.svc.cluster.local,\
IP:127.0.0.1,IP:$API_ADDRESS,IP:$API_SERVICE_ADDRESS"

  # Clients: the API server takes the organisation as group and the common name as user.
  make_certificate admin /O=system:masters/CN=admin DNS:admin
  make_certificate controller-manager /CN=system:kube-controller-manager DNS:controller-manager
  make_certificate scheduler /CN=system:kube-scheduler DNS:scheduler
  make_certificate kube-proxy /CN=system:kube-proxy DNS:kube-proxy

  # For aggregated API servers (metrics, for example). They trust the user name that a holder of such a certificate
  # sends, so its authority must differ from the one that signs users' certificates.
  make_authority aggregation-ca "/CN=rosey-$NAME-aggregation"
  make_certificate aggregation /CN=aggregation DNS:aggregation aggregation-ca
  cd /
}

# make_node_certificates makes two certificates: the kubelet is a client of the API server, and a server for it.
make_node_certificates() {
  cd "$PKI" || exit
  make_certificate "$NODE_NAME" "/O=system:nodes/CN=system:node:$NODE_NAME" "DNS:$NODE_NAME"
  make_certificate "$NODE_NAME-server" "/O=system:nodes/CN=system:node:$NODE_NAME" "DNS:$NODE_NAME,IP:$NODE_ADDRESS"
  write_kubeconfig "$NODE_NAME" "https://$API_ADDRESS:6443" "$PKI/$NODE_NAME.kubeconfig"
  cd /
}

make_key() { openssl ecparam -name prime256v1 -genkey -noout -out "$1.key"; }

make_authority() {
  make_key "$1"
  openssl req -x509 -new -key "$1.key" -subj "$2" -days 365 -out "$1.crt"
}

# make_certificate FILE SUBJECT NAMES [AUTHORITY]: makes a key and a certificate signed by AUTHORITY (default: ca).
make_certificate() {
  make_key "$1"
  openssl req -new -key "$1.key" -subj "$2" |
    openssl x509 -req -CA "${4:-ca}.crt" -CAkey "${4:-ca}.key" -set_serial "0x$(openssl rand -hex 8)" -days 365 \
      -extfile <(printf 'subjectAltName=%s\n' "$3") -out "$1.crt" 2>/dev/null
}

# write_kubeconfigs writes one for the administrator inside the cluster, one for the administrator outside, through the
# forwarder, and one for each program that does not belong to a node.
write_kubeconfigs() {
  local user
  write_kubeconfig admin "https://$API_ADDRESS:6443" "$INSIDE_KUBECONFIG"
  write_kubeconfig admin "https://127.0.0.1:$(<"$STATE/port")" "$OUTSIDE_KUBECONFIG"
  for user in controller-manager scheduler kube-proxy; do
    write_kubeconfig $user "https://$API_ADDRESS:6443" "$PKI/$user.kubeconfig"
  done
}

# write_kubeconfig USER SERVER FILE embeds the certificates, so that the file can be copied.
write_kubeconfig() {
  (
    umask 077
    cat >"$3" <<-CONFIG
	apiVersion: v1
	kind: Config
	clusters: [{name: rosey-$NAME, cluster: {server: "$2", certificate-authority-data: $(base64 -w0 "$PKI/ca.crt")}}]
	users: [{name: $1, user: {client-certificate-data: $(base64 -w0 "$PKI/$1.crt"),
	  client-key-data: $(base64 -w0 "$PKI/$1.key")}}]
	contexts: [{name: rosey-$NAME, context: {cluster: rosey-$NAME, user: $1}}]
	current-context: rosey-$NAME
	CONFIG
  )
}
