package manifests

import (
	"cmp"

	"rosey.dev/rosey/api/v1alpha1"
	"rosey.dev/rosey/runtime/status"
)

// Component is the value of LabelComponent, and what a process calls itself.
type Component string

// The components of a RoseyBot.
const (
	Bot      = Component(status.BotComponent)
	Database = Component(status.DatabaseComponent)
)

// Labels of everything that belongs to a RoseyBot.
const (
	LabelRoseyBot   = "rosey.dev/roseybot"           // the RoseyBot's name; with LabelComponent it selects pods
	LabelComponent  = "app.kubernetes.io/component"  // a Component
	LabelManagedBy  = "app.kubernetes.io/managed-by" // ManagedBy: the operator sees only objects that carry it
	ManagedBy       = "rosey-operator"
	LabelPodMonitor = "rosey.dev/pod-monitor" // of pods alone: the chart's PodMonitor leaves out those that have it
)

// Name is that of a component's Deployment, Service and NetworkPolicy.
func Name(bot *v1alpha1.RoseyBot, component Component) string {
	return bot.Name + map[Component]string{Bot: "-bot", Database: "-db"}[component]
}

// ClaimName is the name of the claim, whichever component holds it.
func ClaimName(bot *v1alpha1.RoseyBot) string { return Name(bot, Database) }

func configMapName(bot *v1alpha1.RoseyBot) string { return bot.Name + "-config" }

// serviceAccountName is the user's or has a suffix, because every namespace has a ServiceAccount "default", and a
// RoseyBot may have that name.
func serviceAccountName(bot *v1alpha1.RoseyBot) string {
	return cmp.Or(string(bot.Spec.ServiceAccountName), bot.Name+"-rosey")
}

// Selector selects the pods of a component. Deployments cannot change it, so it holds nothing that may change.
func Selector(bot *v1alpha1.RoseyBot, component Component) map[string]string {
	return map[string]string{LabelRoseyBot: bot.Name, LabelComponent: string(component)}
}

// labelsOf has no component for what all share.
func labelsOf(bot *v1alpha1.RoseyBot, component Component) map[string]string {
	labels := map[string]string{
		"app.kubernetes.io/name":     "rosey",
		"app.kubernetes.io/instance": bot.Name,
		LabelManagedBy:               ManagedBy,
		LabelRoseyBot:                bot.Name,
	}
	if component != "" {
		labels[LabelComponent] = string(component)
	}
	return labels
}

// with adds ours to what the user gives; ours count.
func with(given any, ours map[string]string) (all map[string]string) {
	overlay(given, &all)
	overlay(ours, &all)
	return all
}
