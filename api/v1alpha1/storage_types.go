//nolint:lll // a marker cannot be wrapped
package v1alpha1

import "k8s.io/apimachinery/pkg/api/resource"

// RetainPolicy says what becomes of a claim when its RoseyBot is deleted.
//
// +kubebuilder:validation:Enum=Retain;Delete
type RetainPolicy string

// The policies for claims.
const (
	RetainClaim RetainPolicy = "Retain"
	DeleteClaim RetainPolicy = "Delete"
)

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
