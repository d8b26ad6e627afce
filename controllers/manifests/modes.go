package manifests

import (
	"cmp"
	"maps"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"rosey.dev/rosey/api/v1alpha1"
	"rosey.dev/rosey/runtime/status"
)

// Component is a part of a RoseyBot that runs as a Deployment. Its name is the value of LabelComponent.
type Component = status.Component

// The components of a RoseyBot.
const (
	Bot      = status.BotComponent
	Database = status.DatabaseComponent
	Web      = status.WebComponent
	// Plugins is the process of all built-in plugins. Others are components of their own: see PluginComponent.
	Plugins = status.PluginsComponent
)

// Labels of the objects of a RoseyBot.
const (
	// LabelRoseyBot is the RoseyBot's name. Together with LabelComponent it selects pods.
	LabelRoseyBot = "rosey.dev/roseybot"
	// LabelComponent is a Component. Objects of all components do not have it.
	LabelComponent = "app.kubernetes.io/component"
	// LabelManagedBy is ManagedBy. The operator's cache holds only objects that have it.
	LabelManagedBy = "app.kubernetes.io/managed-by"
	ManagedBy      = "rosey-operator"
	// labelName is roseyName, and labelInstance the RoseyBot's name: the labels of the pods of `rosey job` too.
	labelName     = "app.kubernetes.io/name"
	roseyName     = "rosey"
	labelInstance = "app.kubernetes.io/instance"
	// LabelPodMonitor is set on pods that the chart's PodMonitor leaves out.
	LabelPodMonitor = "rosey.dev/pod-monitor"
)

// Name returns the name of a component's Deployment, Service, NetworkPolicy and so on.
func Name(bot *v1alpha1.RoseyBot, component Component) string {
	if plugin := PluginName(component); plugin != "" { // neither this nor another suffix has a "-", so no two are alike
		return bot.Name + "-" + plugin + "-plugin"
	}
	return bot.Name + map[Component]string{Bot: "-bot", Database: "-db", Web: "-web", Plugins: "-plugins"}[component]
}

// Image returns the container image of all components.
func Image(bot *v1alpha1.RoseyBot, params Params) string { return cmp.Or(bot.Spec.Image, params.Image) }

// ClaimName returns the name of the claim. It does not depend on the component that mounts it, so that the claim stays
// the same when the mode changes.
func ClaimName(bot *v1alpha1.RoseyBot) string { return Name(bot, Database) }

func configMapName(bot *v1alpha1.RoseyBot) string { return bot.Name + "-config" }

// serviceAccountName returns the name that the spec gives, or else one with a suffix: a RoseyBot may be named
// "default", which is the name of a ServiceAccount in every namespace. A plugin with an image has one of its own: that
// of the bot may have an identity in a cloud, or at a store of Secrets, that others give to all its pods.
func serviceAccountName(bot *v1alpha1.RoseyBot, component Component) string {
	if PluginName(component) != "" {
		return Name(bot, component)
	}
	return cmp.Or(string(bot.Spec.ServiceAccountName), bot.Name+"-rosey")
}

// Selector returns the labels that select the pods of a component. The selector of a Deployment is immutable, so it
// contains nothing that can change.
func Selector(bot *v1alpha1.RoseyBot, component Component) map[string]string {
	return map[string]string{LabelRoseyBot: bot.Name, LabelComponent: string(component)}
}

// labels returns the labels of an object. The component is empty for an object of all components.
func labels(bot *v1alpha1.RoseyBot, component Component) map[string]string {
	labels := map[string]string{
		labelName:      roseyName,
		labelInstance:  bot.Name,
		LabelManagedBy: ManagedBy,
		LabelRoseyBot:  bot.Name,
	}
	if component != "" {
		labels[LabelComponent] = string(component)
	}
	return labels
}

// Labels returns the keys of the labels of all objects.
func Labels() []string { return slices.Collect(maps.Keys(labels(&v1alpha1.RoseyBot{}, Bot))) }

// Annotations returns the keys of the annotations that objects and pods can have.
func Annotations() []string {
	return []string{
		templateHashAnnotation, specGenerationAnnotation, askedClassAnnotation, askedSizeAnnotation, channelAnnotation,
		configHashAnnotation, pluginKeysAnnotation,
	}
}

// SharedFrom returns the name of the RoseyBot whose NATS, subject prefix and database service are used, or "".
func SharedFrom(bot *v1alpha1.RoseyBot) string {
	if ref := databaseOf(bot).SharedFrom; ref != nil {
		return string(ref.Name)
	}
	return ""
}

// HasService reports whether a RoseyBot has a database service of its own.
func HasService(bot *v1alpha1.RoseyBot) bool {
	return bot.Spec.Mode != v1alpha1.ModeDirect && SharedFrom(bot) == ""
}

// HasWeb reports whether a RoseyBot has a web page.
func HasWeb(bot *v1alpha1.RoseyBot) bool {
	return bot.Spec.Mode != v1alpha1.ModeDirect && ptr.Deref(webOf(bot).Enabled, false)
}

// Components returns the components of a RoseyBot, in the order in which they are started.
func Components(bot *v1alpha1.RoseyBot) []Component {
	return append(RequiredComponents(bot), OptionalComponents(bot)...)
}

// OptionalComponents returns the components without which a RoseyBot is ready: the web page and the plugins.
func OptionalComponents(bot *v1alpha1.RoseyBot) (components []Component) {
	if HasWeb(bot) {
		components = append(components, Web)
	}
	return append(components, pluginComponents(bot)...)
}

// isOptional reports whether a component is one that OptionalComponents can return.
func isOptional(component Component) bool { return component == Web || RunsPlugins(component) }

// IsWanted reports whether a live object is none of a web page or a plugin that the spec does not ask for. Other
// components that are not wanted any more run until what replaces them can be built.
func IsWanted(bot *v1alpha1.RoseyBot, live client.Object) bool {
	component := Component(live.GetLabels()[LabelComponent])
	return !isOptional(component) || slices.Contains(Components(bot), component)
}

// RequiredComponents returns the components without which a RoseyBot is not ready.
func RequiredComponents(bot *v1alpha1.RoseyBot) []Component {
	if HasService(bot) {
		return []Component{Database, Bot}
	}
	return []Component{Bot}
}

// opensDatabase reports whether the pods of a component open the database.
func opensDatabase(bot *v1alpha1.RoseyBot, component Component) bool {
	return !isOptional(component) && HasService(bot) == (component == Database) && SharedFrom(bot) == ""
}

// MountsClaim reports whether the pods of a component mount the claim.
func MountsClaim(bot *v1alpha1.RoseyBot, component Component) bool {
	return opensDatabase(bot, component) && databaseOf(bot).Postgres == nil
}

// BacksUp reports whether the pods of a component make backups of the SQLite database.
func BacksUp(bot *v1alpha1.RoseyBot, component Component) bool {
	return MountsClaim(bot, component) && databaseOf(bot).Backup != nil
}

// fallsBack reports whether the pods of a component open the database while NATS is unavailable.
func fallsBack(bot *v1alpha1.RoseyBot, component Component) bool {
	return component == Bot && ptr.Deref(databaseOf(bot).DirectFallback, false)
}

// HasStandbys reports whether a RoseyBot asks for more than one bot pod. It ignores spec.suspend, so that suspending a
// RoseyBot changes no pod template.
func HasStandbys(bot *v1alpha1.RoseyBot) bool { return ptr.Deref(bot.Spec.Replicas, 1) > 1 }

// mayHaveStandbys reports whether a RoseyBot can ask for more than one bot pod. The pod template and the configuration
// depend on this, and not on the number: otherwise the bot in the channel would be replaced when a standby is added.
func mayHaveStandbys(bot, owner *v1alpha1.RoseyBot) bool {
	stream := ptr.Deref(NATS(bot, owner).JetStream, v1alpha1.JetStream{})
	return bot.Spec.Mode != v1alpha1.ModeDirect && bot.Spec.Account != nil && stream.Mode != v1alpha1.JetStreamNever
}

// allowsSeveralPods reports whether two pods of a component may run at the same time. Two bots without leader election
// would both be in the channel, and an SQLite database has one writer.
func allowsSeveralPods(bot *v1alpha1.RoseyBot, component Component) bool {
	switch {
	case component == Bot:
		return HasStandbys(bot)
	case RunsPlugins(component):
		return pluginReplicas(bot, component) > 1
	}
	return !MountsClaim(bot, component)
}

// Replicas returns the number of pods of a component that the spec asks for. If the component is Autoscaled, that is
// the number to start with.
func Replicas(bot *v1alpha1.RoseyBot, component Component) int32 {
	switch {
	case ptr.Deref(bot.Spec.Suspend, false) || component == Database && !HasService(bot):
		return 0
	case component == Bot:
		return ptr.Deref(bot.Spec.Replicas, 1)
	case component == Web && HasWeb(bot):
		return ptr.Deref(webOf(bot).Replicas, 1)
	case component == Web:
		return 0
	case RunsPlugins(component):
		return pluginReplicas(bot, component)
	}
	replicas := ptr.Deref(databaseOf(bot).Replicas, 1)
	if autoscaling := databaseOf(bot).Autoscaling; autoscaling != nil {
		return min(max(replicas, ptr.Deref(autoscaling.MinReplicas, 1)), autoscaling.MaxReplicas)
	}
	return replicas
}

// Autoscaled reports whether a HorizontalPodAutoscaler sets the number of pods of a component.
func Autoscaled(bot *v1alpha1.RoseyBot, component Component) bool {
	return databaseOf(bot).Autoscaling != nil && component == Database && Replicas(bot, component) > 0
}

// BlockingPod returns the name of a pod that a component has to wait for because the pod still mounts the claim, or "".
// This happens when the mode or the store changes: two processes must never open one SQLite database, and a service
// that still stores events there must not run beside one that stores them elsewhere. It also happens when a component
// is started again while a pod of its former Deployment, or from before it was stopped, is being deleted.
func BlockingPod(bot *v1alpha1.RoseyBot, component Component, observed Observed) string {
	own := observed.ClaimPods[component]
	if !MountsClaim(bot, component) {
		return own
	}
	if other := observed.ClaimPods[map[Component]Component{Bot: Database, Database: Bot}[component]]; other != "" {
		return other
	}
	live := Find[*appsv1.Deployment](observed, Name(bot, component))
	if live == nil || ptr.Deref(live.Spec.Replicas, 1) == 0 {
		return own
	}
	return ""
}

// adjustReplicas returns the number of replicas of a component's Deployment: what the spec asks for, 0 while it waits
// for a pod that mounts the claim, and nil if a HorizontalPodAutoscaler sets it. An autoscaler ignores a Deployment
// that has 0 replicas, so the operator starts it. A new one has 1 if nobody sets it.
func adjustReplicas(bot *v1alpha1.RoseyBot, component Component, observed Observed) *int32 {
	live := Find[*appsv1.Deployment](observed, Name(bot, component))
	switch {
	case BlockingPod(bot, component, observed) != "":
		return new(int32(0))
	case !Autoscaled(bot, component), live == nil && Replicas(bot, component) > 1:
	case live == nil, ptr.Deref(live.Spec.Replicas, 1) > 0:
		return nil
	}
	return new(Replicas(bot, component))
}

// databaseOf returns the zero Database if the spec has none.
func databaseOf(bot *v1alpha1.RoseyBot) v1alpha1.Database {
	return ptr.Deref(bot.Spec.Database, v1alpha1.Database{})
}

// webOf returns the zero Web if the spec has none.
func webOf(bot *v1alpha1.RoseyBot) v1alpha1.Web { return ptr.Deref(bot.Spec.Web, v1alpha1.Web{}) }

// NATS returns how a RoseyBot connects to NATS: as the owner of the shared database service does, if there is one,
// and otherwise as its own spec says. In mode Direct it is zero.
func NATS(bot, owner *v1alpha1.RoseyBot) v1alpha1.NATS {
	return ptr.Deref(natsSource(bot, owner).Spec.NATS, v1alpha1.NATS{})
}

// NATSCredentials returns the Secret with which a component logs in to NATS, or nil if it does not log in. A plugin
// never gets that of the bot.
func NATSCredentials(bot, owner *v1alpha1.RoseyBot, component Component) *v1alpha1.ObjectRef {
	own := ownCredentials(bot, component)
	if RunsPlugins(component) {
		return own
	}
	return cmp.Or(own, NATS(bot, owner).CredentialsSecretRef)
}

// ownCredentials returns the Secret with the credentials of a NATS user of a component alone, or nil.
func ownCredentials(bot *v1alpha1.RoseyBot, component Component) *v1alpha1.ObjectRef {
	switch component {
	case Database:
		return databaseOf(bot).NATSCredentialsSecretRef
	case Web:
		return webOf(bot).NATSCredentialsSecretRef
	default: // that of the bot is nats.credentialsSecretRef
		return pluginOf(bot, component).NATSCredentialsSecretRef
	}
}

// natsSource returns the RoseyBot whose spec.nats and subject prefix apply.
func natsSource(bot, owner *v1alpha1.RoseyBot) *v1alpha1.RoseyBot {
	if SharedFrom(bot) != "" && owner != nil {
		return owner
	}
	return bot
}
