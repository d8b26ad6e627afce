package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// RoseyBotStatus is the observed state of a RoseyBot.
type RoseyBotStatus struct {
	// observedGeneration is the generation of the spec that the status describes. It is -1 before the operator has seen
	// the RoseyBot.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// replicas is the number of bot pods. The scale subresource reads it.
	// +optional
	Replicas int32 `json:"replicas"`

	// selector is the label selector of the bot pods. The scale subresource reads it.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Selector string `json:"selector,omitempty"`

	// leader is the name of the bot pod that is in the channel. It is empty if no pod is known to be.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	Leader string `json:"leader,omitempty"`

	// lastBackupTime is when the newest backup of the SQLite database was made.
	// +optional
	LastBackupTime *metav1.Time `json:"lastBackupTime,omitempty"`

	// update is the automatic update that has begun, until the RoseyBot is ready with it.
	// +optional
	Update *UpdateStatus `json:"update,omitempty"`

	// pinned is what the pods run while UpdateAvailable is True. An object that is deleted or edited meanwhile is restored
	// from it, because this version of the operator builds another one.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=50
	Pinned []PinnedObject `json:"pinned,omitempty"`

	// bot is the state of the bot pods.
	// +optional
	Bot ComponentStatus `json:"bot,omitzero"`

	// database is the state of the pods of the database service.
	// +optional
	Database ComponentStatus `json:"database,omitzero"`

	// web is the state of the pods of the web page. It is absent if the spec asks for none.
	// +optional
	Web ComponentStatus `json:"web,omitzero"`

	// plugins are the states of the plugins, in the order of the spec.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=20
	Plugins []PluginStatus `json:"plugins,omitempty"`

	// conditions describe the state of the RoseyBot. Ready summarizes BotAvailable, DatabaseAvailable, ChannelJoined,
	// Durable and the progress of the rollout, without the web page and the plugins.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=20
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// UpdateStatus is an automatic update: a newer version of the operator replaces the pods of a RoseyBot whose
// updatePolicy is Automatic.
type UpdateStatus struct {
	// image is the container image of the new pods. With another image this update is over.
	// +required
	// +kubebuilder:validation:MaxLength=1024
	Image string `json:"image"`

	// startTime is when the update began.
	// +required
	StartTime metav1.Time `json:"startTime"`

	// wasReady reports whether the RoseyBot was ready when the update began. If it was, and is not ready again within the
	// operator's deadline, the update has failed, and other RoseyBots are not updated.
	// +optional
	WasReady bool `json:"wasReady,omitempty"`
}

// PinnedObject is what pods are started from, as an earlier version of the operator built it.
type PinnedObject struct {
	// kind is Deployment or ConfigMap.
	// +required
	// +kubebuilder:validation:MaxLength=63
	Kind string `json:"kind"`

	// name is the name of the object.
	// +required
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`

	// hash is the Deployment's annotation rosey.dev/template-hash, or the hash of the files.
	// +required
	// +kubebuilder:validation:MaxLength=63
	Hash string `json:"hash"`

	// builtFrom is the Deployment's annotation rosey.dev/spec-generation. It is empty for a ConfigMap.
	// +required
	// +kubebuilder:validation:MaxLength=63
	BuiltFrom string `json:"builtFrom"`

	// content is the pod template of the Deployment, or files of the ConfigMap, as JSON.
	// +required
	// +kubebuilder:validation:MaxLength=32768
	Content string `json:"content"`
}

// ComponentStatus is the state of the pods of a component.
type ComponentStatus struct {
	// replicas is the number of pods.
	// +optional
	Replicas int32 `json:"replicas"`

	// readyReplicas is the number of ready pods.
	// +optional
	ReadyReplicas int32 `json:"readyReplicas"`

	// summary is the number of ready pods and of desired pods, for example 1/1. It is "-" if the RoseyBot does not have
	// the component.
	// +optional
	// +kubebuilder:validation:MaxLength=32
	Summary string `json:"summary,omitempty"`
}
