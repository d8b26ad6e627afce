//nolint:lll // a marker cannot be wrapped
package v1alpha1

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// Database says where the rows are kept and what the service in front of them may use. At most one of sqlite, postgres
// and sharedFrom; none is sqlite with the defaults of its fields.
// +kubebuilder:validation:XValidation:rule="(has(self.sqlite) ? 1 : 0) + (has(self.postgres) ? 1 : 0) + (has(self.sharedFrom) ? 1 : 0) <= 1",message="expected at most one of sqlite, postgres and sharedFrom"
// +kubebuilder:validation:XValidation:rule="!has(self.replicas) || self.replicas == 1 || has(self.postgres)",message="replicas: more than 1 needs postgres, because one process alone can open a database in a file"
// +kubebuilder:validation:XValidation:rule="!has(self.autoscaling) || has(self.postgres)",message="autoscaling: needs postgres, because one process alone can open a database in a file"
// +kubebuilder:validation:XValidation:rule="!has(self.directFallback) || !self.directFallback || has(self.postgres)",message="directFallback: needs postgres, because one process alone can open a database in a file"
// +kubebuilder:validation:XValidation:rule="!has(self.sharedFrom) || !(has(self.retention) || has(self.resources))",message="retention, resources: expected none beside sharedFrom, because they are those of the service that is shared"
type Database struct {
	// sqlite keeps the rows in one file on a claim.
	// With the policy Retain a new RoseyBot of the same name takes the claim up, with the size and class it has.
	// +optional
	SQLite *SQLite `json:"sqlite,omitempty"`

	// postgres keeps the rows on a PostgreSQL server.
	// +optional
	Postgres *Postgres `json:"postgres,omitempty"`

	// sharedFrom leaves the rows to the database service of another RoseyBot in this namespace: this one uses its NATS
	// and subject prefix, and runs no service of its own. That one must not share another's.
	// +optional
	SharedFrom *ObjectRef `json:"sharedFrom,omitempty"`

	// replicas is the number of pods of the database service, which share the work; more than 1 needs postgres.
	// With autoscaling it is what is there before and after. Default: 1.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=50
	Replicas *int32 `json:"replicas,omitempty"`

	// autoscaling makes a HorizontalPodAutoscaler for the database service; it needs postgres and a metrics server.
	// +optional
	Autoscaling *Autoscaling `json:"autoscaling,omitempty"`

	// directFallback has the bot write to PostgreSQL itself while NATS is away.
	// +optional
	DirectFallback *bool `json:"directFallback,omitempty"`

	// retention is how long rows are kept.
	// +optional
	Retention Retention `json:"retention,omitzero"`

	// resources are the compute resources of the database service. Default: requests of 10m CPU and 64Mi memory, a
	// limit of 256Mi memory. What stands here replaces the default as a whole.
	// +optional
	Resources corev1.ResourceRequirements `json:"resources,omitzero"`
}

// RetainPolicy says what becomes of a claim when its RoseyBot is deleted.
// +kubebuilder:validation:Enum=Retain;Delete
type RetainPolicy string

// SQLite is the claim that holds the database file.
type SQLite struct {
	// The schema of size is a string, because the cost of a rule about an int-or-string has no bound.

	// size is how much storage is asked for. Default: 1Gi.
	// It can grow where the storage class allows it, and never shrink.
	// +optional
	// +default="1Gi"
	// +kubebuilder:validation:Schemaless
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=40
	// +kubebuilder:validation:XValidation:rule="isQuantity(self) && quantity(self).isGreaterThan(quantity('0'))",message="expected a size greater than 0, for example 1Gi"
	Size *resource.Quantity `json:"size,omitempty"`

	// storageClassName is the claim's storage class. Default: the cluster's. It cannot change.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="self.size() == 0 || self.matches('^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$')",message="expected the name of a storage class: lower case letters, digits, '-' and '.'"
	StorageClassName *string `json:"storageClassName,omitempty"`

	// retainPolicy says what becomes of the claim, and so of the rows, when the RoseyBot is deleted: Retain keeps it,
	// Delete deletes it too. It can change at any time before. Default: Retain.
	// +optional
	// +default="Retain"
	RetainPolicy RetainPolicy `json:"retainPolicy,omitempty"`
}

// Postgres is a database on a PostgreSQL server.
type Postgres struct {
	// urlSecretRef names the database's URL, postgres://user:password@host:port/database. Default of key: url.
	// The Secret may be made later; a new value is taken up without a restart.
	// +required
	URLSecretRef SecretKeyRef `json:"urlSecretRef"`
}

// Autoscaling says how many pods of the database service run, by the CPU they use.
// +kubebuilder:validation:XValidation:rule="self.minReplicas <= self.maxReplicas",message="minReplicas: expected at most maxReplicas"
type Autoscaling struct {
	// minReplicas is the least number of pods. Default: 1.
	// +optional
	// +default=1
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=50
	MinReplicas *int32 `json:"minReplicas,omitempty"`

	// maxReplicas is the greatest number of pods.
	// +required
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=50
	MaxReplicas int32 `json:"maxReplicas"`

	// targetCPUUtilization is the CPU that a pod should use, in percent of what it requests. Default: 80.
	// +optional
	// +default=80
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1000
	TargetCPUUtilization *int32 `json:"targetCPUUtilization,omitempty"`
}

// Kept is how long rows are kept.
// +kubebuilder:validation:MaxLength=20
// +kubebuilder:validation:XValidation:rule="self == 'forever' || (self.matches('^([0-9]{1,7}(h|m|s))+$') && duration(self) >= duration('1h'))",message="expected a time of at least an hour, for example 150h, or forever"
type Kept string

// Retention is how long rows are kept.
type Retention struct {
	// chat is for lines of chat. Default: 150h.
	// +optional
	Chat Kept `json:"chat,omitempty"`

	// userCounts is for the samples of how many are there. Default: 720h.
	// +optional
	UserCounts Kept `json:"userCounts,omitempty"`

	// outbound is for lines that the bot sent or gave up. Default: 168h.
	// +optional
	Outbound Kept `json:"outbound,omitempty"`
}
