//nolint:lll // a marker cannot be wrapped
package v1alpha1

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// RoseyBot is a chat bot in one channel of a CyTube site, with a database service that stores what happens in the
// channel. The bot and the database service communicate over NATS; in mode Direct, one process does both.
// +kubebuilder:object:root=true
// +kubebuilder:resource:shortName=rosey
// +kubebuilder:subresource:status
// +kubebuilder:subresource:scale:specpath=.spec.replicas,statuspath=.status.replicas,selectorpath=.status.selector
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Channel",type=string,JSONPath=`.spec.channel.name`
// +kubebuilder:printcolumn:name="Bot",type=string,JSONPath=`.status.bot.summary`
// +kubebuilder:printcolumn:name="DB",type=string,JSONPath=`.status.database.summary`
// +kubebuilder:printcolumn:name="Leader",type=string,priority=1,JSONPath=`.status.leader`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Message",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="Ready")].message`
// +kubebuilder:validation:XValidation:rule="self.metadata.name.size() <= 50",message="metadata.name: expected at most 50 characters, because the names of other objects are derived from it"
// +kubebuilder:validation:XValidation:rule="!self.metadata.name.contains('.')",message="metadata.name: expected no dots, because the names of other objects are derived from it"
// +kubebuilder:validation:XValidation:rule="!has(self.spec.database) || !has(self.spec.database.sharedFrom) || self.spec.database.sharedFrom.name != self.metadata.name",message="spec.database.sharedFrom.name: expected the name of another RoseyBot"
type RoseyBot struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard object metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// spec is the desired state of the RoseyBot: the channel, the bot's account, the connection to NATS and the
	// database.
	// +required
	Spec RoseyBotSpec `json:"spec"`
	// status is the observed state of the RoseyBot. The operator writes it.
	// +optional
	// +default={"observedGeneration": -1}
	Status RoseyBotStatus `json:"status,omitzero"`
}

// RoseyBotList is a list of RoseyBots.
// +kubebuilder:object:root=true
type RoseyBotList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitzero"`

	Items []RoseyBot `json:"items"`
}

// Mode specifies how a bot reaches its database.
// +kubebuilder:validation:Enum=NATS;Direct
type Mode string

// RoseyBotSpec is the desired state of a RoseyBot.
//
// The rules about the claim are on this type and not on its fields, because the API server does not evaluate a
// transition rule of an optional field when the field is added or removed. They apply only while the database stays
// SQLite, so the mode and the kind of database can change.
// +kubebuilder:validation:XValidation:rule="has(self.nats) || self.mode != 'NATS' || (has(self.database) && has(self.database.sharedFrom))",message="nats: required in mode NATS, unless database.sharedFrom names the RoseyBot whose NATS is used"
// +kubebuilder:validation:XValidation:rule="!has(self.nats) || self.mode != 'Direct'",message="nats: expected none in mode Direct, which uses no NATS"
// +kubebuilder:validation:XValidation:rule="!has(self.nats) || !has(self.database) || !has(self.database.sharedFrom)",message="nats: expected none together with database.sharedFrom, which names the RoseyBot whose NATS is used"
// +kubebuilder:validation:XValidation:rule="self.replicas <= 1 || self.mode == 'NATS'",message="replicas: expected 0 or 1 in mode Direct, because a hot standby needs NATS"
// +kubebuilder:validation:XValidation:rule="self.replicas <= 1 || has(self.account)",message="replicas: expected 0 or 1 without an account, because two anonymous bots would be in the channel at once"
// +kubebuilder:validation:XValidation:rule="self.replicas <= 1 || !has(self.nats) || !has(self.nats.jetStream) || self.nats.jetStream.mode != 'Never'",message="replicas: expected 0 or 1 if nats.jetStream.mode is Never, because the leader election of a hot standby needs JetStream"
// +kubebuilder:validation:XValidation:rule="self.mode != 'Direct' || !has(self.database) || !(has(self.database.sharedFrom) || has(self.database.replicas) || has(self.database.autoscaling) || has(self.database.directFallback) || has(self.database.resources) || has(self.database.natsCredentialsSecretRef))",message="database: expected no sharedFrom, replicas, autoscaling, directFallback, resources and natsCredentialsSecretRef in mode Direct, in which the bot opens the database itself"
// +kubebuilder:validation:XValidation:rule="self.mode != 'Direct' || !has(self.web) || !self.web.enabled",message="web.enabled: expected false in mode Direct, because the web page needs NATS"
// +kubebuilder:validation:XValidation:rule="self.mode != 'Direct' || !has(self.plugins) || self.plugins.size() == 0",message="plugins: expected none in mode Direct, because plugins need NATS"
type RoseyBotSpec struct {
	// channel specifies the CyTube channel that the bot joins.
	// +required
	Channel Channel `json:"channel"`

	// account specifies the user name under which the bot joins the channel. If it is not set, the bot joins
	// anonymously: it can watch the channel, but not chat.
	// +optional
	Account *Account `json:"account,omitempty"`

	// mode specifies how the bot reaches its database. With NATS, the bot publishes events over NATS and a database
	// service stores them. With Direct, the bot opens the database itself, and there is neither NATS nor a database
	// service. When the mode changes, no new pod mounts the claim before the old pods that mount it are gone. Defaults
	// to NATS.
	// +optional
	// +default="NATS"
	Mode Mode `json:"mode,omitempty"`

	// nats specifies how the bot and the database service connect to NATS. It is required in mode NATS unless
	// database.sharedFrom is set, and must not be set in mode Direct.
	// +optional
	NATS *NATS `json:"nats,omitempty"`

	// database specifies where data is stored. If it is not set, data is stored in an SQLite file on a
	// PersistentVolumeClaim of 1Gi with the default storage class.
	// +optional
	Database *Database `json:"database,omitempty"`

	// web specifies the web page for the people of the channel. If it is not set, there is none.
	// +optional
	Web *Web `json:"web,omitempty"`

	// commands specifies the commands that users give.
	// +optional
	Commands Commands `json:"commands,omitzero"`

	// plugins are processes that add commands to the channel and react to what happens there. Where two of them have a
	// command of the same name, the first one has it. They require mode NATS.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=20
	Plugins []Plugin `json:"plugins,omitempty"`

	// pluginHost specifies the process of the built-in plugins.
	// +optional
	PluginHost PluginHost `json:"pluginHost,omitzero"`

	// replicas is the number of bot pods. One of them is in the channel; the others are standbys that take over within
	// seconds. More than 1 requires mode NATS, JetStream and an account. With 0, no bot runs, but the database service,
	// the web page and the plugins still do, because other NATS clients may use the service. Defaults to 1.
	// +optional
	// +default=1
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=10
	Replicas *int32 `json:"replicas,omitempty"`

	// suspend stops the bot, the database service, the web page and the plugins: they have no pods until it is false
	// again. The claim is kept. Defaults to false.
	// +optional
	Suspend *bool `json:"suspend,omitempty"`

	// image is the container image of the bot, the database service, the web page and the built-in plugins. Defaults to
	// the runtime image that the operator was installed with.
	// +optional
	// +kubebuilder:validation:MaxLength=500
	// +kubebuilder:validation:XValidation:rule="!self.matches('[[:space:]]')",message="expected an image reference without spaces, for example registry.example/rosey:v1"
	Image string `json:"image,omitempty"`

	// updatePolicy specifies what a newer version of the operator does with running pods if it would build different
	// ones. Manual leaves those of a component as they are until what they are built from changes in the spec, and sets
	// the condition UpdateAvailable. Automatic replaces them. Defaults to Manual.
	// +optional
	// +default="Manual"
	UpdatePolicy UpdatePolicy `json:"updatePolicy,omitempty"`

	// imagePullPolicy specifies when nodes pull the image, and those of plugins. Defaults to Always for the tag latest, and
	// to IfNotPresent for all other tags.
	// +optional
	// +kubebuilder:validation:Enum=Always;IfNotPresent;Never
	ImagePullPolicy corev1.PullPolicy `json:"imagePullPolicy,omitempty"`

	// imagePullSecrets refer to Secrets in the RoseyBot's namespace with credentials for the image registry.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=10
	// +kubebuilder:validation:XValidation:rule="self.all(ref, ref.name.size() <= 253)",message="expected names of Secrets, which have at most 253 characters"
	ImagePullSecrets []corev1.LocalObjectReference `json:"imagePullSecrets,omitempty"`

	// resources are the compute resources of the bot's container. They replace the default as a whole. Defaults to
	// requests of 10m CPU and 32Mi memory, and a limit of 128Mi memory.
	// +optional
	// +kubebuilder:validation:XValidation:rule="(!has(self.limits) || self.limits.size() <= 20) && (!has(self.requests) || self.requests.size() <= 20) && (!has(self.claims) || self.claims.size() <= 20)",message="expected at most 20 limits, requests and claims"
	Resources corev1.ResourceRequirements `json:"resources,omitzero"`

	// scheduling specifies on which nodes the pods run.
	// +optional
	Scheduling Scheduling `json:"scheduling,omitzero"`

	// podMetadata specifies additional labels and annotations of the pods. Pods of plugins with an image do not get them,
	// because some annotations make other controllers add Secrets to a pod: they have podMetadata of their own.
	// +optional
	PodMetadata PodMetadata `json:"podMetadata,omitzero"`

	// extraEnv are additional environment variables of all processes of the runtime image, for example HTTPS_PROXY or
	// SSL_CERT_FILE. They cannot override those that the operator sets. Everybody who can read the RoseyBot can read the
	// values; for a secret, use valueFrom.secretKeyRef.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=50
	// +kubebuilder:validation:XValidation:rule="self.all(env, env.name.size() <= 256 && (!has(env.value) || env.value.size() <= 4096))",message="expected names of at most 256 characters, and values of at most 4096"
	ExtraEnv []corev1.EnvVar `json:"extraEnv,omitempty"`

	// podSecurityContext is the security context of the pods. Unless it sets them, runAsNonRoot is true and
	// seccompProfile is RuntimeDefault. Defaults to fsGroup 65532 for pods that mount a claim, so that the process can
	// write to the volume. Use {} on platforms that choose the group themselves.
	// +optional
	// +kubebuilder:validation:XValidation:rule="(!has(self.sysctls) || self.sysctls.size() <= 20) && (!has(self.supplementalGroups) || self.supplementalGroups.size() <= 50)",message="expected at most 20 sysctls and 50 supplementalGroups"
	PodSecurityContext *corev1.PodSecurityContext `json:"podSecurityContext,omitempty"`

	// serviceAccountName is the name of the pods' ServiceAccount, whose token is not mounted. If it is not set, the
	// operator creates a ServiceAccount without permissions. Each plugin with an image has one of its own, also without
	// permissions.
	// +optional
	ServiceAccountName ObjectName `json:"serviceAccountName,omitempty"`

	// networkPolicy specifies which network connections the pods may have.
	// +optional
	NetworkPolicy NetworkPolicy `json:"networkPolicy,omitzero"`

	// monitoring specifies how the pods' metrics are scraped.
	// +optional
	Monitoring Monitoring `json:"monitoring,omitzero"`

	// telemetry specifies where the processes send traces. If it is not set, they send none, unless extraEnv sets variables
	// of OpenTelemetry.
	// +optional
	Telemetry *Telemetry `json:"telemetry,omitempty"`

	// logLevel is the lowest level of messages that the processes log. Defaults to info.
	// +optional
	// +default="info"
	// +kubebuilder:validation:Enum=debug;info;warn;error
	LogLevel string `json:"logLevel,omitempty"`
}

// Channel specifies a channel of a CyTube site.
type Channel struct {
	// server is the base URL of the CyTube site: http(s)://host[:port] without a path. Defaults to https://cytu.be.
	// +optional
	// +default="https://cytu.be"
	// +kubebuilder:validation:MaxLength=300
	// +kubebuilder:validation:XValidation:rule="self.matches('^https?://([A-Za-z0-9._-]+|\\\\[[0-9A-Fa-f:.]+\\\\])(:[0-9]{1,5})?$')",message="expected http(s)://host[:port] without a path, for example https://cytu.be"
	Server string `json:"server,omitempty"`

	// name is the name of the channel as in its address: 1 to 30 letters, digits, '-' and '_'.
	// +required
	// +kubebuilder:validation:MaxLength=100
	// +kubebuilder:validation:XValidation:rule="self.matches('^[A-Za-z0-9_-]{1,30}$')",message="expected 1 to 30 letters, digits, '-' and '_'"
	Name string `json:"name"`

	// passwordSecretRef refers to the channel's password. If it is not set, the bot joins without one. The Secret may be
	// created later; a new value takes effect without a restart.
	// +optional
	PasswordSecretRef *SecretKeyRef `json:"passwordSecretRef,omitempty"`

	// maxMessageLength is the maximum length of a line on the server, in UTF-16 code units: the server's setting
	// max-chat-message-length. Longer messages are said in several lines. Defaults to 0: 320 as on most servers, and
	// less if the server turns out to cut lines earlier.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=1000
	// +kubebuilder:validation:XValidation:rule="self == 0 || self >= 40",message="expected 0 or 40 to 1000"
	MaxMessageLength int32 `json:"maxMessageLength,omitempty"`
}

// Account specifies a login on a CyTube site.
type Account struct {
	// username is the name of the account or the guest: 1 to 20 letters, digits, '-' and '_'.
	// +required
	// +kubebuilder:validation:MaxLength=100
	// +kubebuilder:validation:XValidation:rule="self.matches('^[A-Za-z0-9_-]{1,20}$')",message="expected 1 to 20 letters, digits, '-' and '_'"
	Username string `json:"username"`

	// passwordSecretRef refers to the account's password. If it is not set, the bot logs in as a guest with this name. The
	// Secret may be created later; a new value takes effect without a restart.
	// +optional
	PasswordSecretRef *SecretKeyRef `json:"passwordSecretRef,omitempty"`
}

// ObjectRef refers to an object in the RoseyBot's namespace.
type ObjectRef struct {
	// name is the name of the object.
	// +required
	// +kubebuilder:validation:MinLength=1
	Name ObjectName `json:"name"`
}

// SecretKeyRef refers to one key of a Secret in the RoseyBot's namespace.
type SecretKeyRef struct {
	// name is the name of the Secret.
	// +required
	// +kubebuilder:validation:MinLength=1
	Name ObjectName `json:"name"`

	// key is the key in the Secret's data. Defaults to password; in urlSecretRef, to url; in headersSecretRef, to headers.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="self.matches('^[A-Za-z0-9._-]+$') && !self.startsWith('..') && self != '.'",message="expected a key of a Secret: letters, digits, '-', '_' and '.'"
	Key string `json:"key,omitempty"`
}
