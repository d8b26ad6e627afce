//nolint:lll // a marker cannot be wrapped
package v1alpha1

import (
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
)

// PluginName is the name of a plugin.
// +kubebuilder:validation:MaxLength=30
// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z0-9]+$')",message="expected 1 to 30 lower case letters and digits"
type PluginName string

// BuiltinPlugin is a plugin of the runtime image.
// +kubebuilder:validation:Enum=countdown;custom;dice;http;llm;playlist;polls;quotes;trivia
type BuiltinPlugin string

// PluginSetting is the value of a setting of a plugin.
// +kubebuilder:validation:MaxLength=16384
type PluginSetting string

// PluginEvent is an event of the channel, as in the last token of its NATS subject.
// +kubebuilder:validation:MaxLength=64
// +kubebuilder:validation:XValidation:rule="self.matches('^[A-Za-z_]+$')",message="expected names of events, for example message"
type PluginEvent string

// PluginThing is a part of the state of the channel.
// +kubebuilder:validation:Enum=users;media;playlist;poll
type PluginThing string

// PluginVerb is something that a plugin can do in the channel.
// +kubebuilder:validation:Enum="playlist.add";"playlist.skip";"playlist.remove";"playlist.jump";"playlist.shuffle";"poll.open";"poll.close";kick
type PluginVerb string

// PluginProbes specifies what the kubelet and the operator can ask the process of a plugin.
// +kubebuilder:validation:Enum=None;HTTP
type PluginProbes string

// Plugin is a process that adds commands to the channel and reacts to what happens there. A built-in one runs in one
// Deployment together with all others, see pluginHost; one with an image has a Deployment of its own.
// +kubebuilder:validation:XValidation:rule="has(self.builtin) != has(self.image)",message="expected either builtin or image"
// +kubebuilder:validation:XValidation:rule="!has(self.builtin) || !(has(self.natsCredentialsSecretRef) || has(self.envFrom) || has(self.replicas) || has(self.resources) || has(self.egress) || has(self.podMetadata) || has(self.probes))",message="natsCredentialsSecretRef, envFrom, replicas, resources, egress, podMetadata, probes: expected none with builtin, because all built-in plugins run in one process: see pluginHost"
type Plugin struct {
	// name is the name of the plugin in the channel: 1 to 30 lower case letters and digits. What the plugin stores is kept
	// under it.
	// +required
	// +kubebuilder:validation:MinLength=1
	Name PluginName `json:"name"`

	// builtin is a plugin of the runtime image.
	// +optional
	Builtin BuiltinPlugin `json:"builtin,omitempty"`

	// image is the container image of a plugin of your own. The image's user must be a number other than 0, as for all
	// pods. Its root file system is read-only, except for /tmp, which holds 128Mi or the limit of resources for
	// ephemeral-storage. Environment variables say how the process finds NATS and its settings; see docs/tasks/plugins.md.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=500
	// +kubebuilder:validation:XValidation:rule="!self.matches('[[:space:]]')",message="expected an image reference without spaces, for example registry.example/weather:v1"
	Image string `json:"image,omitempty"`

	// config are the settings of the plugin, which it reads while it runs: a change restarts no pod. Each plugin has its
	// own; docs/plugins.md lists those of the built-in ones. Everybody who can read the RoseyBot can read them; for a
	// secret, use envFrom.
	// +optional
	// +kubebuilder:validation:MaxProperties=50
	// +kubebuilder:validation:XValidation:rule="self.all(key, key.size() <= 63 && key.matches('^[A-Za-z0-9][A-Za-z0-9_.-]*$'))",message="expected keys of at most 63 letters, digits, '-', '_' and '.' that begin with a letter or a digit"
	Config map[string]PluginSetting `json:"config,omitempty"`

	// natsCredentialsSecretRef refers to a Secret with the credentials of a NATS user for this plugin, with the same keys
	// as nats.credentialsSecretRef, and optionally with the client certificate tls.crt and tls.key. If it is not set, the
	// plugin connects without credentials: it never gets those of the bot. The Secret may be created later; new values
	// take effect without a restart.
	// +optional
	NATSCredentialsSecretRef *ObjectRef `json:"natsCredentialsSecretRef,omitempty"`

	// envFrom are Secrets and ConfigMaps whose keys become environment variables of the plugin, for example the key of a
	// web API. They cannot override the variables that the operator sets. They can set any other variable, and some, such
	// as HTTPS_PROXY, decide where a program sends its data: allow changes of such a ConfigMap only to those who may read
	// the plugin's Secrets, or set a prefix. A change takes effect when the plugin restarts.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=10
	// +kubebuilder:validation:XValidation:rule="self.all(source, (!has(source.prefix) || source.prefix.size() <= 100) && (!has(source.secretRef) || source.secretRef.name.size() <= 253) && (!has(source.configMapRef) || source.configMapRef.name.size() <= 253))",message="expected names of at most 253 characters, and prefixes of at most 100"
	// +kubebuilder:validation:XValidation:rule="self.all(source, has(source.secretRef) != has(source.configMapRef))",message="expected either a secretRef or a configMapRef in each element"
	EnvFrom []corev1.EnvFromSource `json:"envFrom,omitempty"`

	// grants are what the plugin can do besides answering its commands. They replace the default as a whole. Defaults to
	// what a built-in plugin needs, and to nothing for others. The bot enforces them, and so does NATS if the user has the
	// permissions that rosey nats permissions prints.
	// +optional
	Grants *PluginGrants `json:"grants,omitempty"`

	// replicas is the number of pods, which share the work. With 1, the pod is deleted before another one starts. Defaults
	// to 1.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=5
	Replicas *int32 `json:"replicas,omitempty"`

	// resources are the compute resources of the plugin's container. They replace the default as a whole. Defaults to
	// requests of 10m CPU and 32Mi memory, and a limit of 128Mi memory.
	// +optional
	// +kubebuilder:validation:XValidation:rule="(!has(self.limits) || self.limits.size() <= 20) && (!has(self.requests) || self.requests.size() <= 20) && (!has(self.claims) || self.claims.size() <= 20)",message="expected at most 20 limits, requests and claims"
	Resources corev1.ResourceRequirements `json:"resources,omitzero"`

	// egress are the rules for connections from the pods of the plugin. They replace the default as a whole, so they must
	// allow DNS and NATS too. Defaults to networkPolicy.egress.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=20
	// +kubebuilder:validation:XValidation:rule="self.all(rule, (!has(rule.ports) || rule.ports.size() <= 50) && (!has(rule.to) || rule.to.size() <= 50))",message="expected at most 50 ports and 50 peers in a rule"
	Egress []networkingv1.NetworkPolicyEgressRule `json:"egress,omitempty"`

	// podMetadata specifies additional labels and annotations of the plugin's pods. They do not get those of
	// spec.podMetadata.
	// +optional
	PodMetadata PodMetadata `json:"podMetadata,omitzero"`

	// probes specifies what the process serves besides NATS. With HTTP, it serves /healthz, /readyz, /status and /metrics
	// at port 8080, as programs on the Go SDK do: then the kubelet restarts a process that hangs, its metrics are scraped,
	// and the status of the RoseyBot says what it lacks. With None, only the bot sees whether the plugin answers.
	// Defaults to None.
	// +optional
	Probes PluginProbes `json:"probes,omitempty"`
}

// PluginGrants specifies what a plugin can do besides answering its commands.
type PluginGrants struct {
	// events are the events of the channel that the plugin receives.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=32
	Events []PluginEvent `json:"events,omitempty"`

	// say specifies whether the plugin can say lines that answer no command. Defaults to false.
	// +optional
	Say bool `json:"say,omitempty"`

	// queue specifies whether the plugin can queue lines, which are said even if the bot restarts. Defaults to false.
	// +optional
	Queue bool `json:"queue,omitempty"`

	// state are the parts of the channel's state that the plugin can read.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=4
	State []PluginThing `json:"state,omitempty"`

	// act is what the plugin can do in the channel.
	// +optional
	// +listType=map
	// +listMapKey=verb
	// +kubebuilder:validation:MaxItems=8
	Act []ActGrant `json:"act,omitempty"`
}

// ActGrant lets a plugin do something in the channel.
type ActGrant struct {
	// verb is what the plugin can do.
	// +required
	Verb PluginVerb `json:"verb"`

	// rank is the lowest rank of the user whose command makes the plugin do it. If it is not set, the plugin can also do it
	// by itself.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=255
	Rank *int32 `json:"rank,omitempty"`
}

// PluginHost specifies the process of all built-in plugins.
type PluginHost struct {
	// natsCredentialsSecretRef refers to a Secret with the credentials of a NATS user for all built-in plugins together,
	// with the same keys as nats.credentialsSecretRef, and optionally with the client certificate tls.crt and tls.key. If
	// it is not set, they connect without credentials: they never get those of the bot. The Secret may be created later;
	// new values take effect without a restart.
	// +optional
	NATSCredentialsSecretRef *ObjectRef `json:"natsCredentialsSecretRef,omitempty"`

	// envFrom are Secrets and ConfigMaps whose keys become environment variables of the process, for example the key of the
	// service of a language model. The names of the variables begin with PLUGIN_, followed by prefix, so that none is a
	// setting of the process: the key TOKEN becomes PLUGIN_TOKEN. A change takes effect when the process restarts.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=10
	// +kubebuilder:validation:XValidation:rule="self.all(source, (!has(source.prefix) || source.prefix.size() <= 100) && (!has(source.secretRef) || source.secretRef.name.size() <= 253) && (!has(source.configMapRef) || source.configMapRef.name.size() <= 253))",message="expected names of at most 253 characters, and prefixes of at most 100"
	// +kubebuilder:validation:XValidation:rule="self.all(source, has(source.secretRef) != has(source.configMapRef))",message="expected either a secretRef or a configMapRef in each element"
	EnvFrom []corev1.EnvFromSource `json:"envFrom,omitempty"`

	// resources are the compute resources of the container. They replace the default as a whole. Defaults to requests of
	// 10m CPU and 32Mi memory, and a limit of 256Mi memory.
	// +optional
	// +kubebuilder:validation:XValidation:rule="(!has(self.limits) || self.limits.size() <= 20) && (!has(self.requests) || self.requests.size() <= 20) && (!has(self.claims) || self.claims.size() <= 20)",message="expected at most 20 limits, requests and claims"
	Resources corev1.ResourceRequirements `json:"resources,omitzero"`

	// egress are the rules for connections from the pod. They replace the default as a whole, so they must allow DNS and
	// NATS too. Defaults to networkPolicy.egress.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=20
	// +kubebuilder:validation:XValidation:rule="self.all(rule, (!has(rule.ports) || rule.ports.size() <= 50) && (!has(rule.to) || rule.to.size() <= 50))",message="expected at most 50 ports and 50 peers in a rule"
	Egress []networkingv1.NetworkPolicyEgressRule `json:"egress,omitempty"`
}

// PluginStatus is the state of a plugin.
type PluginStatus struct {
	// name is the name of the plugin.
	// +required
	Name PluginName `json:"name"`

	// replicas is the number of pods. That of a built-in plugin is the pod of all of them.
	// +optional
	Replicas int32 `json:"replicas"`

	// readyReplicas is the number of ready pods.
	// +optional
	ReadyReplicas int32 `json:"readyReplicas"`

	// reason is Available if users can give the plugin's commands. Otherwise it says why they cannot, as the reason of
	// PluginsAvailable does.
	// +optional
	// +kubebuilder:validation:MaxLength=100
	Reason string `json:"reason,omitempty"`

	// message describes the reason.
	// +optional
	// +kubebuilder:validation:MaxLength=400
	Message string `json:"message,omitempty"`

	// commands are the names under which users give the plugin's commands, without the prefix: the first 20 of them.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=20
	// +kubebuilder:validation:items:MaxLength=128
	Commands []string `json:"commands,omitempty"`
}
