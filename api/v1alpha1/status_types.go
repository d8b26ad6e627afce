package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// RoseyBotStatus is what was last seen of a RoseyBot.
type RoseyBotStatus struct {
	// observedGeneration is the generation of the spec that this status is about.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// replicas is the number of bot pods, for the scale subresource.
	// +optional
	Replicas int32 `json:"replicas"`

	// selector selects the bot pods, for the scale subresource.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Selector string `json:"selector,omitempty"`

	// leader is the bot pod that is in the channel.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	Leader string `json:"leader,omitempty"`

	// bot counts the bot pods.
	// +optional
	Bot ComponentStatus `json:"bot,omitzero"`

	// database counts the pods of the database service.
	// +optional
	Database ComponentStatus `json:"database,omitzero"`

	// conditions say in words how the bot is: Ready is the summary of BotAvailable, DatabaseAvailable,
	// ChannelJoined and Progressing.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=20
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// ComponentStatus counts the pods of a component.
type ComponentStatus struct {
	// replicas is the number of pods that exist.
	// +optional
	Replicas int32 `json:"replicas"`

	// readyReplicas is the number of pods that do their job.
	// +optional
	ReadyReplicas int32 `json:"readyReplicas"`

	// summary is the number of ready pods and of wanted pods, for example 1/1.
	// +optional
	// +kubebuilder:validation:MaxLength=32
	Summary string `json:"summary,omitempty"`
}
