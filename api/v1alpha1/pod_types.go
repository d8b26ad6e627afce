//nolint:lll // a marker cannot be wrapped
package v1alpha1

import (
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
)

// UpdatePolicy says what an update of the operator may do to pods that run.
// +kubebuilder:validation:Enum=Manual;Automatic
type UpdatePolicy string

// ObjectName is the name of another object.
// +kubebuilder:validation:MaxLength=253
// +kubebuilder:validation:XValidation:rule="self.size() == 0 || self.matches('^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$')",message="expected the name of an object: lower case letters, digits, '-' and '.'"
type ObjectName string

// LabelValue is the value of a label.
// +kubebuilder:validation:MaxLength=63
// +kubebuilder:validation:XValidation:rule="self.size() == 0 || self.matches('^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$')",message="expected a label's value: letters, digits, '-', '_' and '.'"
type LabelValue string

// AnnotationValue is the value of an annotation.
// +kubebuilder:validation:MaxLength=4096
type AnnotationValue string

// Scheduling says which nodes take the pods. Its fields are those of a pod.
type Scheduling struct {
	// nodeSelector are labels that a node must have.
	// +optional
	// +kubebuilder:validation:MaxProperties=20
	// +kubebuilder:validation:XValidation:rule="self.all(key, key.size() <= 316 && key.matches('^([a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$'))",message="expected keys of labels or annotations: a name of letters, digits, '-', '_' and '.', with a domain and '/' in front if wanted"
	NodeSelector map[string]LabelValue `json:"nodeSelector,omitempty"`

	// tolerations are the taints of nodes that the pods bear.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=20
	Tolerations []corev1.Toleration `json:"tolerations,omitempty"`

	// affinity draws the pods to nodes and other pods, or keeps them away.
	// +optional
	Affinity *corev1.Affinity `json:"affinity,omitempty"`

	// topologySpreadConstraints spread the pods over parts of the cluster. Default: several pods of a component are
	// spread over nodes where that is possible.
	// +optional
	// +listType=map
	// +listMapKey=topologyKey
	// +listMapKey=whenUnsatisfiable
	// +kubebuilder:validation:MaxItems=10
	TopologySpreadConstraints []corev1.TopologySpreadConstraint `json:"topologySpreadConstraints,omitempty"`

	// priorityClassName names the PriorityClass of the pods.
	// +optional
	PriorityClassName ObjectName `json:"priorityClassName,omitempty"`
}

// PodMetadata is added to the pods. It cannot replace what the operator sets.
type PodMetadata struct {
	// labels are added to the pods' labels.
	// +optional
	// +kubebuilder:validation:MaxProperties=30
	// +kubebuilder:validation:XValidation:rule="self.all(key, !key.startsWith('rosey.dev/') && !(key in ['app.kubernetes.io/name', 'app.kubernetes.io/instance', 'app.kubernetes.io/component', 'app.kubernetes.io/managed-by']))",message="expected none of the labels that the operator sets: rosey.dev/* and app.kubernetes.io/name, instance, component and managed-by"
	// +kubebuilder:validation:XValidation:rule="self.all(key, key.size() <= 316 && key.matches('^([a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$'))",message="expected keys of labels or annotations: a name of letters, digits, '-', '_' and '.', with a domain and '/' in front if wanted"
	Labels map[string]LabelValue `json:"labels,omitempty"`

	// annotations are added to the pods' annotations.
	// +optional
	// +kubebuilder:validation:MaxProperties=30
	// +kubebuilder:validation:XValidation:rule="self.all(key, !key.startsWith('rosey.dev/'))",message="expected none of the annotations that the operator sets: rosey.dev/*"
	// +kubebuilder:validation:XValidation:rule="self.all(key, key.size() <= 316 && key.matches('^([a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$'))",message="expected keys of labels or annotations: a name of letters, digits, '-', '_' and '.', with a domain and '/' in front if wanted"
	Annotations map[string]AnnotationValue `json:"annotations,omitempty"`
}

// NetworkPolicy says which connections the pods may have, in clusters that enforce NetworkPolicies.
type NetworkPolicy struct {
	// enabled makes NetworkPolicies. Into the pods they let the operator and pods of namespaces labelled
	// metrics=enabled, at the port of status and metrics; out of the pods, what egress says. Default: true.
	// +optional
	// +default=true
	Enabled *bool `json:"enabled,omitempty"`

	// egress are the rules for connections from the pods. They replace the default as a whole, so they need to allow
	// DNS, NATS and CyTube. Default: DNS and TCP to anywhere.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=20
	Egress []networkingv1.NetworkPolicyEgressRule `json:"egress,omitempty"`
}

// Monitoring says who collects the pods' metrics.
type Monitoring struct {
	// podMonitor Auto leaves the pods to the PodMonitor that the operator's chart makes; Never keeps them out of it.
	// +optional
	// +default="Auto"
	// +kubebuilder:validation:Enum=Auto;Never
	PodMonitor string `json:"podMonitor,omitempty"`
}
