//nolint:lll // a marker cannot be wrapped
package v1alpha1

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// Database specifies where data is stored, and how the database service runs. At most one of sqlite, postgres and
// sharedFrom may be set; if none is, data is stored in SQLite with its defaults.
// +kubebuilder:validation:XValidation:rule="(has(self.sqlite) ? 1 : 0) + (has(self.postgres) ? 1 : 0) + (has(self.sharedFrom) ? 1 : 0) <= 1",message="expected at most one of sqlite, postgres and sharedFrom"
// +kubebuilder:validation:XValidation:rule="!has(self.replicas) || self.replicas == 1 || has(self.postgres)",message="replicas: more than 1 needs postgres, because only one process can open an SQLite database"
// +kubebuilder:validation:XValidation:rule="!has(self.autoscaling) || has(self.postgres)",message="autoscaling: needs postgres, because only one process can open an SQLite database"
// +kubebuilder:validation:XValidation:rule="!has(self.directFallback) || !self.directFallback || has(self.postgres)",message="directFallback: needs postgres, because only one process can open an SQLite database"
// +kubebuilder:validation:XValidation:rule="!has(self.sharedFrom) || !(has(self.retention) || has(self.limits) || has(self.resources) || has(self.natsCredentialsSecretRef))",message="retention, limits, resources, natsCredentialsSecretRef: expected none together with sharedFrom, because the shared service has its own"
// +kubebuilder:validation:XValidation:rule="!has(self.backup) || !(has(self.postgres) || has(self.sharedFrom))",message="backup: expected none together with postgres or sharedFrom, because only an SQLite database of this RoseyBot is backed up"
type Database struct {
	// sqlite stores data in an SQLite file on a PersistentVolumeClaim. If an earlier RoseyBot of the same name left its
	// claim, the claim is reused: its storage class stays the same, and its size does not shrink.
	// +optional
	SQLite *SQLite `json:"sqlite,omitempty"`

	// postgres stores data in a PostgreSQL database.
	// +optional
	Postgres *Postgres `json:"postgres,omitempty"`

	// sharedFrom refers to another RoseyBot in this namespace whose database service also stores the data of this one.
	// This RoseyBot uses the NATS connection and the subject prefix of the other one, and runs no database service. The
	// other RoseyBot must not set sharedFrom itself, and can be shared by at most 100 others. RoseyBots that share a
	// service are one trust domain: whoever may publish for one of them may publish for all.
	// +optional
	SharedFrom *ObjectRef `json:"sharedFrom,omitempty"`

	// replicas is the number of pods of the database service, which share the work. More than 1 requires postgres. With
	// autoscaling, it is the number of pods to start with. Defaults to 1.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=50
	Replicas *int32 `json:"replicas,omitempty"`

	// autoscaling specifies a HorizontalPodAutoscaler for the database service. It requires postgres, and a metrics
	// server in the cluster. If it is not set, the number of pods is replicas.
	// +optional
	Autoscaling *Autoscaling `json:"autoscaling,omitempty"`

	// directFallback lets the bot write to PostgreSQL directly while NATS is unavailable. It requires postgres. Defaults
	// to false.
	// +optional
	DirectFallback *bool `json:"directFallback,omitempty"`

	// natsCredentialsSecretRef refers to a Secret with the credentials of a NATS user for the database service, with the
	// same keys as nats.credentialsSecretRef. With a user of its own, the service and the bot may each do only what they
	// need. Defaults to nats.credentialsSecretRef.
	// +optional
	NATSCredentialsSecretRef *ObjectRef `json:"natsCredentialsSecretRef,omitempty"`

	// retention specifies how long data is stored.
	// +optional
	Retention Retention `json:"retention,omitzero"`

	// limits bound what clients can send to the database service, and what they can have stored. A client that exceeds
	// one gets an error that names it.
	// +optional
	Limits Limits `json:"limits,omitzero"`

	// backup specifies backups of the SQLite database, which the process that has it open makes. If it is not set, none
	// are made.
	// +optional
	Backup *Backup `json:"backup,omitempty"`

	// resources are the compute resources of the database service's container. They replace the default as a whole.
	// Defaults to requests of 10m CPU and 64Mi memory, and a limit of 256Mi memory.
	// +optional
	// +kubebuilder:validation:XValidation:rule="(!has(self.limits) || self.limits.size() <= 20) && (!has(self.requests) || self.requests.size() <= 20) && (!has(self.claims) || self.claims.size() <= 20)",message="expected at most 20 limits, requests and claims"
	Resources corev1.ResourceRequirements `json:"resources,omitzero"`
}

// RetainPolicy specifies what happens to a claim when its RoseyBot is deleted.
// +kubebuilder:validation:Enum=Retain;Delete
type RetainPolicy string

// SQLite specifies the PersistentVolumeClaim that holds the database file.
type SQLite struct {
	// The schema of size is a string, because the API server cannot estimate the cost of a rule on an int-or-string.

	// size is the requested size of the volume. It can grow if the storage class allows volume expansion. A volume cannot
	// shrink: it stays as large as it is. Defaults to 1Gi.
	// +optional
	// +default="1Gi"
	// +kubebuilder:validation:Schemaless
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=40
	// +kubebuilder:validation:XValidation:rule="isQuantity(self) && quantity(self).isGreaterThan(quantity('0'))",message="expected a size greater than 0, for example 1Gi"
	Size *resource.Quantity `json:"size,omitempty"`

	// storageClassName is the storage class of the claim. A claim that has a volume stays in its class. Defaults to the
	// cluster's default storage class.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="self.size() == 0 || self.matches('^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$')",message="expected the name of a storage class: lower case letters, digits, '-' and '.'"
	StorageClassName *string `json:"storageClassName,omitempty"`

	// retainPolicy specifies what happens to the claim, and thus to the data, when the RoseyBot is deleted: Retain keeps
	// it, Delete deletes it. It can be changed at any time. Defaults to Retain.
	// +optional
	// +default="Retain"
	RetainPolicy RetainPolicy `json:"retainPolicy,omitempty"`
}

// Backup specifies when and where backups of an SQLite database are made. At most one of claim and claimName may be set;
// if none is, they are in a directory in the claim of the database, which does not survive the loss of its volume.
// +kubebuilder:validation:XValidation:rule="!has(self.claim) || !has(self.claimName) || self.claimName.size() == 0",message="expected at most one of claim and claimName"
type Backup struct {
	// every is the time between two backups, at least 1h. Defaults to 24h.
	// +optional
	// +default="24h"
	// +kubebuilder:validation:MaxLength=20
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]{1,7}(h|m|s))+$') && duration(self) >= duration('1h')",message="expected a duration of at least 1h, for example 24h"
	Every string `json:"every,omitempty"`

	// keep is the number of backups to keep. Older ones are deleted. Defaults to 7.
	// +optional
	// +default=7
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1000
	Keep *int32 `json:"keep,omitempty"`

	// claim specifies a PersistentVolumeClaim for the backups, which is created with the name of the RoseyBot and
	// "-backup". It follows sqlite.retainPolicy.
	// +optional
	Claim *BackupClaim `json:"claim,omitempty"`

	// claimName is the name of a PersistentVolumeClaim in this namespace for the backups. It must exist, and may be shared
	// by several RoseyBots.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="self.size() == 0 || self.matches('^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$')",message="expected the name of a claim: lower case letters, digits, '-' and '.'"
	ClaimName string `json:"claimName,omitempty"`
}

// BackupClaim specifies the PersistentVolumeClaim that holds the backups.
type BackupClaim struct {
	// size is the requested size of the volume, which has to hold keep backups and the one that is being made. It can grow
	// if the storage class allows volume expansion. A volume cannot shrink: it stays as large as it is. Defaults to 5Gi.
	// +optional
	// +default="5Gi"
	// +kubebuilder:validation:Schemaless
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=40
	// +kubebuilder:validation:XValidation:rule="isQuantity(self) && quantity(self).isGreaterThan(quantity('0'))",message="expected a size greater than 0, for example 5Gi"
	Size *resource.Quantity `json:"size,omitempty"`

	// storageClassName is the storage class of the claim. A claim that has a volume stays in its class. Defaults to the
	// cluster's default storage class.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="self.size() == 0 || self.matches('^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$')",message="expected the name of a storage class: lower case letters, digits, '-' and '.'"
	StorageClassName *string `json:"storageClassName,omitempty"`
}

// Postgres specifies a PostgreSQL database.
type Postgres struct {
	// urlSecretRef refers to the URL of the database, postgres://user:password@host:port/database. The Secret may be
	// created later; a new value takes effect without a restart.
	// +required
	URLSecretRef SecretKeyRef `json:"urlSecretRef"`
}

// Autoscaling specifies how the number of pods of the database service depends on their CPU utilization.
// +kubebuilder:validation:XValidation:rule="self.minReplicas <= self.maxReplicas",message="minReplicas: expected at most maxReplicas"
type Autoscaling struct {
	// minReplicas is the lower limit of the number of pods. Defaults to 1.
	// +optional
	// +default=1
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=50
	MinReplicas *int32 `json:"minReplicas,omitempty"`

	// maxReplicas is the upper limit of the number of pods.
	// +required
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=50
	MaxReplicas int32 `json:"maxReplicas"`

	// targetCPUUtilization is the average CPU utilization to aim at, in percent of the CPU that the pods request.
	// Defaults to 80.
	// +optional
	// +default=80
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1000
	TargetCPUUtilization *int32 `json:"targetCPUUtilization,omitempty"`
}

// RetentionPeriod is a duration of at least 1h in the notation of Go, for example 150h, or forever.
// +kubebuilder:validation:MaxLength=20
// +kubebuilder:validation:XValidation:rule="self == 'forever' || (self.matches('^([0-9]{1,7}(h|m|s))+$') && duration(self) >= duration('1h'))",message="expected a duration of at least 1h, for example 150h, or forever"
type RetentionPeriod string

// Retention specifies how long data is stored.
type Retention struct {
	// chat is the retention period of chat messages. Defaults to 150h.
	// +optional
	Chat RetentionPeriod `json:"chat,omitempty"`

	// userCounts is the retention period of the samples of the number of users in the channel. Defaults to 720h.
	// +optional
	UserCounts RetentionPeriod `json:"userCounts,omitempty"`

	// media is the retention period of what was played in the channel. Defaults to 2160h.
	// +optional
	Media RetentionPeriod `json:"media,omitempty"`

	// outbound is the retention period of outbound lines that were said or abandoned. Defaults to 168h.
	// +optional
	Outbound RetentionPeriod `json:"outbound,omitempty"`

	// people is the retention period of users with their joins, leaves and counts, from when they were last seen. Users
	// who are in the channel are not deleted. Defaults to forever.
	// +optional
	People RetentionPeriod `json:"people,omitempty"`
}

// Limits bound what clients can send to the database service, and what they can have stored. Sizes are in bytes.
type Limits struct {
	// messageBytes is the maximum size of an event or a request. Defaults to 131072.
	// +optional
	// +kubebuilder:validation:Minimum=65536
	// +kubebuilder:validation:Maximum=1048576
	MessageBytes *int64 `json:"messageBytes,omitempty"`

	// textBytes is the maximum size of a chat message, of the details of an action and of a text of the status.
	// Defaults to 16384.
	// +optional
	// +kubebuilder:validation:Minimum=1024
	// +kubebuilder:validation:Maximum=65536
	TextBytes *int64 `json:"textBytes,omitempty"`

	// nameBytes is the maximum size of the name of a user or a channel. Defaults to 128.
	// +optional
	// +kubebuilder:validation:Minimum=32
	// +kubebuilder:validation:Maximum=512
	NameBytes *int64 `json:"nameBytes,omitempty"`

	// channelRows is the maximum number of rows of a channel: chat messages, joins and leaves, stays of bots, samples,
	// actions, reports of what was played, hours in which somebody wrote, and outbound lines. Defaults to 5000000.
	// +optional
	// +kubebuilder:validation:Minimum=10000
	// +kubebuilder:validation:Maximum=2147483647
	ChannelRows *int64 `json:"channelRows,omitempty"`

	// channelBytes is the maximum size of the rows that channelRows counts. A row counts as its texts, twice the ID of its
	// event, and 100 bytes. Defaults to 536870912.
	// +optional
	// +kubebuilder:validation:Minimum=1048576
	// +kubebuilder:validation:Maximum=1099511627776
	ChannelBytes *int64 `json:"channelBytes,omitempty"`

	// people is the maximum number of users of a channel. Defaults to 100000.
	// +optional
	// +kubebuilder:validation:Minimum=1000
	// +kubebuilder:validation:Maximum=10000000
	People *int64 `json:"people,omitempty"`

	// outboundWaiting is the maximum number of outbound lines of a channel that wait to be said. Defaults to 1000.
	// +optional
	// +kubebuilder:validation:Minimum=10
	// +kubebuilder:validation:Maximum=100000
	OutboundWaiting *int64 `json:"outboundWaiting,omitempty"`

	// kvKeys is the maximum number of keys of a plugin in a channel. Defaults to 10000.
	// +optional
	// +kubebuilder:validation:Minimum=10
	// +kubebuilder:validation:Maximum=1000000
	KVKeys *int64 `json:"kvKeys,omitempty"`

	// kvBytes is the maximum size of the keys and values of a plugin in a channel. Defaults to 16777216.
	// +optional
	// +kubebuilder:validation:Minimum=131072
	// +kubebuilder:validation:Maximum=1073741824
	KVBytes *int64 `json:"kvBytes,omitempty"`

	// kvPlugins is the maximum number of plugins that have keys in a channel. Defaults to 100.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1000
	KVPlugins *int64 `json:"kvPlugins,omitempty"`

	// kvChannelBytes is the maximum size of the keys and values of all plugins in a channel. Defaults to 134217728.
	// +optional
	// +kubebuilder:validation:Minimum=131072
	// +kubebuilder:validation:Maximum=1099511627776
	KVChannelBytes *int64 `json:"kvChannelBytes,omitempty"`

	// deadLetters is the maximum number of dead letters, of which the oldest are deleted. Defaults to 10000.
	// +optional
	// +kubebuilder:validation:Minimum=100
	// +kubebuilder:validation:Maximum=1000000
	DeadLetters *int64 `json:"deadLetters,omitempty"`

	// deadLetterBytes is the maximum size of all dead letters. Defaults to 67108864.
	// +optional
	// +kubebuilder:validation:Minimum=1048576
	// +kubebuilder:validation:Maximum=1073741824
	DeadLetterBytes *int64 `json:"deadLetterBytes,omitempty"`
}
