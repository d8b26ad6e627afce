//nolint:lll // a marker cannot be wrapped
package v1alpha1

import (
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
)

// PeoplePages specifies who may read the pages about individual people.
// +kubebuilder:validation:Enum=Public;TokensOnly;Off
type PeoplePages string

// Web specifies the web page for the people of the channel. It has a Deployment and a Service of its own, whose name is
// that of the RoseyBot and "-web", with the port of the pages alone. The operator makes no Ingress.
// +kubebuilder:validation:XValidation:rule="!self.enabled || self.public || has(self.tokensSecretRef)",message="expected public true or a tokensSecretRef, because otherwise nobody may read the pages"
type Web struct {
	// enabled specifies whether the web page runs. It requires mode NATS. Defaults to false.
	// +optional
	// +default=false
	Enabled *bool `json:"enabled,omitempty"`

	// replicas is the number of pods of the web page, which are all the same. Defaults to 1.
	// +optional
	// +default=1
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=20
	Replicas *int32 `json:"replicas,omitempty"`

	// public lets everybody who reaches the web page read it. Otherwise reading needs a token. What changes something, and
	// the pages about outbound lines and the processes, need a token in any case. Defaults to false.
	// +optional
	// +default=false
	Public *bool `json:"public,omitempty"`

	// people specifies who may read the pages about individual people: with Public, everybody who may read the others; with
	// TokensOnly, who has a token; with Off, nobody. Defaults to Public.
	// +optional
	// +default="Public"
	People PeoplePages `json:"people,omitempty"`

	// tokensSecretRef refers to a Secret with the tokens of the web page: each key is the name of a person, and its value
	// the token, of at least 16 characters. With a key that ends in ".commands", commands can be sent too. If it is not
	// set, nobody can send anything. The Secret may be created later; a change takes effect without a restart.
	// +optional
	TokensSecretRef *ObjectRef `json:"tokensSecretRef,omitempty"`

	// natsCredentialsSecretRef refers to a Secret with the credentials of a NATS user for the web page, with the same keys
	// as nats.credentialsSecretRef, and optionally with the client certificate tls.crt and tls.key. With a user of its own,
	// the web page may do only what it needs. Defaults to nats.credentialsSecretRef, and then the client certificate is
	// that of nats.tlsSecretRef.
	// +optional
	NATSCredentialsSecretRef *ObjectRef `json:"natsCredentialsSecretRef,omitempty"`

	// basePath is the path under which a proxy in front of the web page serves it, if the proxy passes the path on as it
	// is, for example /movienight. Defaults to /.
	// +optional
	// +default="/"
	// +kubebuilder:validation:MaxLength=200
	// +kubebuilder:validation:XValidation:rule="self.matches('^(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)*/?$') && self.size() > 0",message="expected an absolute path of letters, digits, '-', '_', '~' and '.', for example /movienight"
	BasePath string `json:"basePath,omitempty"`

	// allowFrom are the peers that NetworkPolicies admit to the pages besides all pods of the RoseyBot's namespace, such as
	// the namespace of the ingress controller.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=20
	// +kubebuilder:validation:XValidation:rule="self.all(peer, has(peer.ipBlock) != (has(peer.podSelector) || has(peer.namespaceSelector)))",message="expected peers with either an ipBlock, or a namespaceSelector, a podSelector or both"
	AllowFrom []networkingv1.NetworkPolicyPeer `json:"allowFrom,omitempty"`

	// resources are the compute resources of the web page's container. They replace the default as a whole. Defaults to
	// requests of 10m CPU and 32Mi memory, and a limit of 128Mi memory.
	// +optional
	// +kubebuilder:validation:XValidation:rule="(!has(self.limits) || self.limits.size() <= 20) && (!has(self.requests) || self.requests.size() <= 20) && (!has(self.claims) || self.claims.size() <= 20)",message="expected at most 20 limits, requests and claims"
	Resources corev1.ResourceRequirements `json:"resources,omitzero"`
}
