//nolint:lll // a marker cannot be wrapped
package v1alpha1

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// RoseyBot is a bot in one channel of a CyTube site, with a database service that keeps what happens there.
// Bot and database service talk over NATS, or in mode Direct are one process.
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
// +kubebuilder:validation:XValidation:rule="self.metadata.name.size() <= 50",message="metadata.name: expected at most 50 characters, because names of other objects are made from it"
// +kubebuilder:validation:XValidation:rule="!self.metadata.name.contains('.')",message="metadata.name: expected no dots, because names of other objects are made from it"
// +kubebuilder:validation:XValidation:rule="!has(self.spec.database) || !has(self.spec.database.sharedFrom) || self.spec.database.sharedFrom.name != self.metadata.name",message="spec.database.sharedFrom.name: expected the name of another RoseyBot"
type RoseyBot struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is that of every object.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// spec is what is wanted: the channel, who the bot is in it, the bus and the store.
	// +required
	Spec RoseyBotSpec `json:"spec"`
	// status is what was last seen. The operator writes it; nobody else needs to.
	// +optional
	Status RoseyBotStatus `json:"status,omitzero"`
}

// RoseyBotList is a list of RoseyBots.
// +kubebuilder:object:root=true
type RoseyBotList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitzero"`

	Items []RoseyBot `json:"items"`
}

// Mode is how a bot reaches its database.
// +kubebuilder:validation:Enum=NATS;Direct
type Mode string

// RoseyBotSpec is what is wanted of a RoseyBot.
//
// The rules about the claim are here and not on its fields, because a transition rule on an optional field is not
// asked when the field comes or goes. They hold while SQLite stays, so the mode and the kind of database can change.
// +kubebuilder:validation:XValidation:rule="has(self.nats) || self.mode != 'NATS' || (has(self.database) && has(self.database.sharedFrom))",message="nats: required in mode NATS, unless database.sharedFrom names the RoseyBot whose NATS is used"
// +kubebuilder:validation:XValidation:rule="!has(self.nats) || self.mode != 'Direct'",message="nats: expected none in mode Direct, which uses no NATS"
// +kubebuilder:validation:XValidation:rule="!has(self.nats) || !has(self.database) || !has(self.database.sharedFrom)",message="nats: expected none beside database.sharedFrom, which names the RoseyBot whose NATS is used"
// +kubebuilder:validation:XValidation:rule="self.replicas <= 1 || self.mode == 'NATS'",message="replicas: expected 0 or 1 in mode Direct, because a hot standby needs NATS"
// +kubebuilder:validation:XValidation:rule="self.replicas <= 1 || has(self.account)",message="replicas: expected 0 or 1 without an account, because two anonymous bots would be in the channel at once"
// +kubebuilder:validation:XValidation:rule="self.replicas <= 1 || !has(self.nats) || !has(self.nats.jetStream) || self.nats.jetStream.mode != 'Never'",message="replicas: expected 0 or 1 where nats.jetStream.mode is Never, because the lock of a hot standby is kept in JetStream"
// +kubebuilder:validation:XValidation:rule="self.mode != 'Direct' || !has(self.database) || !(has(self.database.sharedFrom) || has(self.database.replicas) || has(self.database.autoscaling) || has(self.database.directFallback) || has(self.database.resources))",message="database: expected no sharedFrom, replicas, autoscaling, directFallback and resources in mode Direct, in which the bot has the database open itself"
// +kubebuilder:validation:XValidation:rule="(has(self.database) && (has(self.database.postgres) || has(self.database.sharedFrom))) || (has(oldSelf.database) && (has(oldSelf.database.postgres) || has(oldSelf.database.sharedFrom))) || quantity(has(self.database) && has(self.database.sqlite) ? self.database.sqlite.size : '1Gi').compareTo(quantity(has(oldSelf.database) && has(oldSelf.database.sqlite) ? oldSelf.database.sqlite.size : '1Gi')) >= 0",message="database.sqlite.size: a claim cannot shrink, expected at least the size it has (1Gi where none was given)"
// +kubebuilder:validation:XValidation:rule="(has(self.database) && (has(self.database.postgres) || has(self.database.sharedFrom))) || (has(oldSelf.database) && (has(oldSelf.database.postgres) || has(oldSelf.database.sharedFrom))) || (has(self.database) && has(self.database.sqlite) && has(self.database.sqlite.storageClassName) ? self.database.sqlite.storageClassName : '-') == (has(oldSelf.database) && has(oldSelf.database.sqlite) && has(oldSelf.database.sqlite.storageClassName) ? oldSelf.database.sqlite.storageClassName : '-')",message="database.sqlite.storageClassName: cannot change, because a claim stays in its storage class"
type RoseyBotSpec struct {
	// channel is the CyTube channel the bot sits in.
	// +required
	Channel Channel `json:"channel"`

	// account is who the bot is in the channel. Absent: an anonymous watcher, who cannot chat.
	// +optional
	Account *Account `json:"account,omitempty"`

	// mode is how the bot reaches its database: NATS through a database service, Direct by opening it itself, without
	// service and NATS. When it changes, the pods that have a claim are gone before others start. Default: NATS.
	// +optional
	// +default="NATS"
	Mode Mode `json:"mode,omitempty"`

	// nats is the bus between bot and database service. Required in mode NATS, but for database.sharedFrom.
	// +optional
	NATS *NATS `json:"nats,omitempty"`

	// database is where the rows are kept. Absent: SQLite on a claim of 1Gi in the default storage class.
	// +optional
	Database *Database `json:"database,omitempty"`

	// replicas is the number of bot pods. One is in the channel; with more than 1 the others stand by and take over
	// within seconds, which needs mode NATS, JetStream and an account. 0 stops the bot; the database service runs on,
	// because other programs on the bus may ask it. Default: 1.
	// +optional
	// +default=1
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=10
	Replicas *int32 `json:"replicas,omitempty"`

	// suspend stops bot and database service: both have no pods until it is false again. The claim stays.
	// +optional
	Suspend *bool `json:"suspend,omitempty"`

	// image is the container image of bot and database service. Default: the one the operator was installed with.
	// +optional
	// +kubebuilder:validation:MaxLength=500
	// +kubebuilder:validation:XValidation:rule="!self.matches('[[:space:]]')",message="expected an image reference without spaces, for example registry.example/rosey:v1"
	Image string `json:"image,omitempty"`

	// updatePolicy says what a newer operator does to pods that run and that it would make differently: Manual leaves
	// them until the spec changes and says so in condition UpdateAvailable, Automatic replaces them. Default: Manual.
	// +optional
	// +default="Manual"
	UpdatePolicy UpdatePolicy `json:"updatePolicy,omitempty"`

	// imagePullPolicy says when a node pulls the image. Default: Always for the tag latest, else IfNotPresent.
	// +optional
	// +kubebuilder:validation:Enum=Always;IfNotPresent;Never
	ImagePullPolicy corev1.PullPolicy `json:"imagePullPolicy,omitempty"`

	// imagePullSecrets name Secrets of this namespace with the registry's credentials.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=10
	ImagePullSecrets []corev1.LocalObjectReference `json:"imagePullSecrets,omitempty"`

	// resources are the compute resources of the bot. Default: requests of 10m CPU and 32Mi memory, a limit of
	// 128Mi memory. What stands here replaces the default as a whole.
	// +optional
	Resources corev1.ResourceRequirements `json:"resources,omitzero"`

	// scheduling says which nodes take the pods of bot and database service.
	// +optional
	Scheduling Scheduling `json:"scheduling,omitzero"`

	// podMetadata are labels and annotations for the pods of bot and database service, beside the operator's own.
	// +optional
	PodMetadata PodMetadata `json:"podMetadata,omitzero"`

	// extraEnv are environment variables for bot and database service, for example HTTPS_PROXY or SSL_CERT_FILE.
	// Who may read RoseyBots reads the values: a secret belongs in a Secret, named by valueFrom.secretKeyRef.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=50
	ExtraEnv []corev1.EnvVar `json:"extraEnv,omitempty"`

	// podSecurityContext is that of the pods; runAsNonRoot true and seccompProfile RuntimeDefault fill it in. Default:
	// fsGroup 65532 beside a claim, so that it can be written; {} is without, for platforms that choose the group.
	// +optional
	PodSecurityContext *corev1.PodSecurityContext `json:"podSecurityContext,omitempty"`

	// serviceAccountName names the ServiceAccount of the pods, which get no token. Default: one is made, without rights.
	// +optional
	ServiceAccountName ObjectName `json:"serviceAccountName,omitempty"`

	// networkPolicy says which connections the pods may have. Absent: the defaults of its fields.
	// +optional
	NetworkPolicy NetworkPolicy `json:"networkPolicy,omitzero"`

	// monitoring says who collects the pods' metrics. Absent: the defaults of its fields.
	// +optional
	Monitoring Monitoring `json:"monitoring,omitzero"`

	// logLevel is how much bot and database service log. Default: info.
	// +optional
	// +default="info"
	// +kubebuilder:validation:Enum=debug;info;warn;error
	LogLevel string `json:"logLevel,omitempty"`
}

// Channel names a channel on a CyTube site.
type Channel struct {
	// server is the base URL of the CyTube site: http(s)://host[:port] without a path. Default: https://cytu.be.
	// +optional
	// +default="https://cytu.be"
	// +kubebuilder:validation:MaxLength=300
	// +kubebuilder:validation:XValidation:rule="self.matches('^https?://([A-Za-z0-9._-]+|\\\\[[0-9A-Fa-f:.]+\\\\])(:[0-9]{1,5})?$')",message="expected http(s)://host[:port] without a path, for example https://cytu.be"
	Server string `json:"server,omitempty"`

	// name is the channel's name as in its address: 1 to 30 letters, digits, '-' and '_'.
	// +required
	// +kubebuilder:validation:MaxLength=100
	// +kubebuilder:validation:XValidation:rule="self.matches('^[A-Za-z0-9_-]{1,30}$')",message="expected 1 to 30 letters, digits, '-' and '_'"
	Name string `json:"name"`

	// passwordSecretRef names the channel's password, for a channel that asks for one.
	// The Secret may be made later; a new value is taken up without a restart.
	// +optional
	PasswordSecretRef *SecretKeyRef `json:"passwordSecretRef,omitempty"`
}

// Account is a login on a CyTube site.
type Account struct {
	// username is the account's or the guest's name: 1 to 20 letters, digits, '-' and '_'.
	// +required
	// +kubebuilder:validation:MaxLength=100
	// +kubebuilder:validation:XValidation:rule="self.matches('^[A-Za-z0-9_-]{1,20}$')",message="expected 1 to 20 letters, digits, '-' and '_'"
	Username string `json:"username"`

	// passwordSecretRef names the account's password. Absent: the bot is a guest of that name.
	// The Secret may be made later; a new value is taken up without a restart.
	// +optional
	PasswordSecretRef *SecretKeyRef `json:"passwordSecretRef,omitempty"`
}

// ObjectRef names an object in the RoseyBot's namespace.
type ObjectRef struct {
	// name is the object's name.
	// +required
	// +kubebuilder:validation:MinLength=1
	Name ObjectName `json:"name"`
}

// SecretKeyRef names one key of a Secret in the RoseyBot's namespace.
type SecretKeyRef struct {
	// name is the Secret's name.
	// +required
	// +kubebuilder:validation:MinLength=1
	Name ObjectName `json:"name"`

	// key is the key in the Secret's data. Default: password.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="self.matches('^[A-Za-z0-9._-]+$') && !self.startsWith('..') && self != '.'",message="expected a key of a Secret: letters, digits, '-', '_' and '.'"
	Key string `json:"key,omitempty"`
}
