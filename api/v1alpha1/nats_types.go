//nolint:lll // a marker cannot be wrapped
package v1alpha1

import "k8s.io/apimachinery/pkg/api/resource"

// NATS says how to reach the bus and which part of it belongs to the bot.
type NATS struct {
	// url is one NATS URL or several, separated by commas: nats://, tls://, ws:// or wss:// and host[:port].
	// +required
	// +kubebuilder:validation:MaxLength=1000
	// +kubebuilder:validation:XValidation:rule="!self.contains('@')",message="expected no user or password in the URL: a RoseyBot is not a place for secrets"
	// +kubebuilder:validation:XValidation:rule="self.contains('@') || self.matches('^((nats|tls|ws|wss)://([A-Za-z0-9._-]+|\\\\[[0-9A-Fa-f:.]+\\\\])(:[0-9]{1,5})?( *, *|$))+$') && !self.matches(', *$')",message="expected one URL or several separated by commas, each nats://, tls://, ws:// or wss:// and host[:port], for example nats://nats.nats.svc:4222"
	URL string `json:"url"`

	// subjectPrefix is the first token of all subjects of the bot, without '.', '*', '>' and spaces; it does not
	// start with '$' or '_'. Default: rosey_<namespace>_<name>, so that bots do not hear each other.
	// +optional
	// +kubebuilder:validation:MaxLength=128
	// +kubebuilder:validation:XValidation:rule="self.size() == 0 || self.matches('^[^.*>[:space:]$_][^.*>[:space:]]*$')",message="expected one token without '.', '*', '>' and spaces that does not start with '$' or '_'"
	SubjectPrefix string `json:"subjectPrefix,omitempty"`

	// credentialsSecretRef names a Secret with one way to log in, by its keys: nats.creds; username and password;
	// token; or nkey. Absent: no login. It may be made later; new values are taken up without a restart.
	// +optional
	CredentialsSecretRef *ObjectRef `json:"credentialsSecretRef,omitempty"`

	// tlsSecretRef names a Secret with the certificates of authorities to trust, key ca.crt, and for a server that asks
	// for a client's certificate tls.crt and tls.key. Absent: the image's authorities, where the URL asks for TLS.
	// +optional
	TLSSecretRef *ObjectRef `json:"tlsSecretRef,omitempty"`

	// jetStream is the stream that keeps events until they are stored. Absent: the defaults of its fields.
	// +optional
	JetStream *JetStream `json:"jetStream,omitempty"`
}

// JetStreamMode says whether a stream keeps events until they are stored.
// +kubebuilder:validation:Enum=Auto;Always;Never
type JetStreamMode string

// JetStream says how the stream is made that keeps events until they are stored.
type JetStream struct {
	// mode is Auto to use JetStream where the server has it and permits it, Always to wait for it, Never for NATS
	// without it: then what happens while the database service is away is lost. Default: Auto.
	// +optional
	// +default="Auto"
	Mode JetStreamMode `json:"mode,omitempty"`

	// replicas is how many NATS servers keep the stream. Default: 1.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=5
	Replicas *int32 `json:"replicas,omitempty"`

	// maxAge is how long an event is kept that is not stored. Default: 72h.
	// +optional
	// +kubebuilder:validation:MaxLength=20
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]{1,7}(h|m|s))+$') && duration(self) > duration('0s')",message="expected a time greater than 0, for example 72h"
	MaxAge string `json:"maxAge,omitempty"`

	// maxBytes is how much the stream keeps. Default: 256Mi.
	// +optional
	// +kubebuilder:validation:Schemaless
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=40
	// +kubebuilder:validation:XValidation:rule="isQuantity(self) && quantity(self).compareTo(quantity('1Mi')) >= 0 && quantity(self).compareTo(quantity('1Ti')) <= 0",message="expected a size from 1Mi to 1Ti, for example 256Mi"
	MaxBytes *resource.Quantity `json:"maxBytes,omitempty"`
}
