//nolint:lll // a marker cannot be wrapped
package v1alpha1

import "k8s.io/apimachinery/pkg/api/resource"

// NATS specifies how processes connect to NATS, and which subjects they use.
type NATS struct {
	// url is a NATS URL, or several separated by commas: nats://, tls://, ws:// or wss:// followed by host[:port],
	// without credentials.
	// +required
	// +kubebuilder:validation:MaxLength=1000
	// +kubebuilder:validation:XValidation:rule="!self.contains('@')",message="expected no user or password in the URL: credentialsSecretRef refers to a Secret with them"
	// +kubebuilder:validation:XValidation:rule="self.contains('@') || !self.matches('://[0-9A-Fa-f]*:[0-9A-Fa-f.]*:')",message="expected an IPv6 address in brackets, for example nats://[fd00::1]:4222"
	// +kubebuilder:validation:XValidation:rule="self.contains('@') || self.matches('://[0-9A-Fa-f]*:[0-9A-Fa-f.]*:') || self.matches('^((nats|tls|ws|wss)://([A-Za-z0-9._-]+|\\\\[[0-9A-Fa-f]*:[0-9A-Fa-f:.]*\\\\])(:(6553[0-5]|655[0-2][0-9]|65[0-4][0-9]{2}|6[0-4][0-9]{3}|[1-5][0-9]{4}|[1-9][0-9]{0,3}))?/?( *, *|$))+$') && !self.matches(', *$')",message="expected one URL or several separated by commas, each nats://, tls://, ws:// or wss:// and host[:port], for example nats://nats.nats.svc:4222"
	URL string `json:"url"`

	// subjectPrefix is the first token of all subjects that the RoseyBot uses: letters, digits, '-' and '_', beginning
	// with a letter or a digit. The names of its stream, consumer and bucket are derived from it. Defaults to
	// rosey_<namespace>_<name>, so that RoseyBots do not receive each other's messages.
	// +optional
	// +kubebuilder:validation:MaxLength=128
	// +kubebuilder:validation:XValidation:rule="self.size() == 0 || self.matches('^[A-Za-z0-9][A-Za-z0-9_-]*$')",message="expected one token of letters, digits, '-' and '_' that begins with a letter or a digit"
	SubjectPrefix string `json:"subjectPrefix,omitempty"`

	// credentialsSecretRef refers to a Secret with the credentials of a NATS user. Its keys are those of one method:
	// nats.creds; username and password; token; or nkey. If it is not set, processes connect without credentials. The
	// database service uses database.natsCredentialsSecretRef instead, if that is set. The Secret may be created later;
	// new values take effect without a restart.
	// +optional
	CredentialsSecretRef *ObjectRef `json:"credentialsSecretRef,omitempty"`

	// tlsSecretRef refers to a Secret with certificates: ca.crt contains the trusted certificate authorities; tls.crt
	// and tls.key contain the client certificate, if the server requires one. If it is not set, processes trust the
	// image's certificate authorities, and use TLS only if the URL or the server requires it.
	// +optional
	TLSSecretRef *ObjectRef `json:"tlsSecretRef,omitempty"`

	// jetStream specifies the JetStream stream that holds events until they are stored in the database.
	// +optional
	JetStream *JetStream `json:"jetStream,omitempty"`
}

// JetStreamMode specifies whether events are published to a JetStream stream.
// +kubebuilder:validation:Enum=Auto;Always;Never
type JetStreamMode string

// Provisioning specifies who creates the stream, its consumer and the bucket of the leader election.
// +kubebuilder:validation:Enum=Automatic;Manual
type Provisioning string

// JetStream specifies the stream that holds events until they are stored in the database.
// +kubebuilder:validation:XValidation:rule="!has(self.provisioning) || !has(self.mode) || self.provisioning != 'Manual' || self.mode != 'Never'",message="provisioning: expected Automatic if mode is Never, which uses no stream"
type JetStream struct {
	// mode specifies whether events are published to a JetStream stream. Auto uses JetStream if the server supports it;
	// if such a server has no room for the stream or does not permit it, the RoseyBot is not Ready. Always waits until
	// JetStream is available. Never uses core NATS, which loses events while the database service is unavailable.
	// Defaults to Auto.
	// +optional
	// +default="Auto"
	Mode JetStreamMode `json:"mode,omitempty"`

	// replicas is the number of NATS servers that hold a copy of the stream. Defaults to 1.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=5
	Replicas *int32 `json:"replicas,omitempty"`

	// maxAge is how long the stream holds an event that has not been stored in the database, for example 72h. Defaults
	// to 72h.
	// +optional
	// +kubebuilder:validation:MaxLength=20
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]{1,7}(h|m|s))+$') && duration(self) > duration('0s')",message="expected a duration greater than 0, for example 72h"
	MaxAge string `json:"maxAge,omitempty"`

	// provisioning specifies who creates the stream, its consumer and the bucket of the leader election. With Automatic,
	// the bot and the database service create them and keep their limits as specified here. With Manual, an
	// administrator creates them, for example with rosey nats create, and the processes only use them, whatever limits
	// they have. Defaults to Automatic.
	// +optional
	// +default="Automatic"
	Provisioning Provisioning `json:"provisioning,omitempty"`

	// maxBytes is the maximum size of the stream, from 1Mi to 1Ti. The NATS server reserves it when the stream is
	// created. Defaults to 64Mi.
	// +optional
	// +kubebuilder:validation:Schemaless
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=40
	// +kubebuilder:validation:XValidation:rule="isQuantity(self) && quantity(self).compareTo(quantity('1Mi')) >= 0 && quantity(self).compareTo(quantity('1Ti')) <= 0",message="expected a size from 1Mi to 1Ti, for example 64Mi"
	MaxBytes *resource.Quantity `json:"maxBytes,omitempty"`

	// maxMessageBytes is the maximum size of a message in the stream, from 16Ki to 8Mi. The NATS server refuses larger
	// ones. Defaults to 128Ki.
	// +optional
	// +kubebuilder:validation:Schemaless
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=40
	// +kubebuilder:validation:XValidation:rule="isQuantity(self) && quantity(self).compareTo(quantity('16Ki')) >= 0 && quantity(self).compareTo(quantity('8Mi')) <= 0",message="expected a size from 16Ki to 8Mi, for example 128Ki"
	MaxMessageBytes *resource.Quantity `json:"maxMessageBytes,omitempty"`
}
