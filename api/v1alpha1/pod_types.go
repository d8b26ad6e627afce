//nolint:lll // a marker cannot be wrapped
package v1alpha1

import (
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
)

// UpdatePolicy specifies what a newer version of the operator does with running pods.
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

// Scheduling specifies on which nodes pods run. Its fields have the same meaning as in a pod.
type Scheduling struct {
	// nodeSelector are the labels that a node must have.
	// +optional
	// +kubebuilder:validation:MaxProperties=20
	// +kubebuilder:validation:XValidation:rule="self.all(key, key.size() <= 316 && key.matches('^([a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$'))",message="expected keys of labels or annotations: a name of letters, digits, '-', '_' and '.', optionally after a domain and '/'"
	NodeSelector map[string]LabelValue `json:"nodeSelector,omitempty"`

	// tolerations specify which taints of nodes the pods tolerate.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=20
	// +kubebuilder:validation:XValidation:rule="self.all(t, (!has(t.key) || t.key.size() <= 316) && (!has(t.value) || t.value.size() <= 63))",message="expected keys of at most 316 characters, and values of at most 63"
	Tolerations []corev1.Toleration `json:"tolerations,omitempty"`

	// affinity specifies affinity and anti-affinity to nodes and other pods.
	// +optional
	Affinity *corev1.Affinity `json:"affinity,omitempty"`

	// topologySpreadConstraints specify how pods are spread over topology domains. If they are not set, the pods of a
	// component are spread over nodes where possible.
	// +optional
	// +listType=map
	// +listMapKey=topologyKey
	// +listMapKey=whenUnsatisfiable
	// +kubebuilder:validation:MaxItems=10
	TopologySpreadConstraints []corev1.TopologySpreadConstraint `json:"topologySpreadConstraints,omitempty"`

	// priorityClassName is the name of the pods' PriorityClass.
	// +optional
	PriorityClassName ObjectName `json:"priorityClassName,omitempty"`
}

// PodMetadata specifies labels and annotations of pods. It cannot override those that the operator sets.
type PodMetadata struct {
	// labels are additional labels of the pods.
	// +optional
	// +kubebuilder:validation:MaxProperties=30
	// +kubebuilder:validation:XValidation:rule="self.all(key, !key.startsWith('rosey.dev/') && !(key in ['app.kubernetes.io/name', 'app.kubernetes.io/instance', 'app.kubernetes.io/component', 'app.kubernetes.io/managed-by']))",message="expected none of the labels that the operator sets: rosey.dev/* and app.kubernetes.io/name, instance, component and managed-by"
	// +kubebuilder:validation:XValidation:rule="self.all(key, key.size() <= 316 && key.matches('^([a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$'))",message="expected keys of labels or annotations: a name of letters, digits, '-', '_' and '.', optionally after a domain and '/'"
	Labels map[string]LabelValue `json:"labels,omitempty"`

	// annotations are additional annotations of the pods.
	// +optional
	// +kubebuilder:validation:MaxProperties=30
	// +kubebuilder:validation:XValidation:rule="self.all(key, !key.startsWith('rosey.dev/'))",message="expected none of the annotations that the operator sets: rosey.dev/*"
	// +kubebuilder:validation:XValidation:rule="self.all(key, key.size() <= 316 && key.matches('^([a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$'))",message="expected keys of labels or annotations: a name of letters, digits, '-', '_' and '.', optionally after a domain and '/'"
	Annotations map[string]AnnotationValue `json:"annotations,omitempty"`
}

// NetworkPolicy specifies which network connections the pods may have. It has an effect only in clusters that enforce
// NetworkPolicies.
type NetworkPolicy struct {
	// enabled specifies whether NetworkPolicies are created for the pods. They admit the operator, and pods of
	// namespaces with the label metrics=enabled or another one that the operator was installed with, to the pods' HTTP
	// port, and restrict the pods' own connections to those that egress allows. Defaults to true.
	// +optional
	// +default=true
	Enabled *bool `json:"enabled,omitempty"`

	// egress are the rules for connections from the pods. They replace the default as a whole, so they must allow
	// everything that the pods need: DNS, CyTube, NATS, PostgreSQL and the receiver of traces. Defaults to DNS and TCP to
	// any address.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=20
	// +kubebuilder:validation:XValidation:rule="self.all(rule, (!has(rule.ports) || rule.ports.size() <= 50) && (!has(rule.to) || rule.to.size() <= 50))",message="expected at most 50 ports and 50 peers in a rule"
	Egress []networkingv1.NetworkPolicyEgressRule `json:"egress,omitempty"`
}

// Monitoring specifies how the pods' metrics are scraped.
type Monitoring struct {
	// podMonitor specifies whether the PodMonitor of the operator's Helm chart selects the pods: Auto if the chart
	// creates one, Never to exclude the pods from it. Defaults to Auto.
	// +optional
	// +default="Auto"
	// +kubebuilder:validation:Enum=Auto;Never
	PodMonitor string `json:"podMonitor,omitempty"`
}
