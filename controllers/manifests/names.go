package manifests

import (
	"cmp"
	"maps"

	"rosey.dev/rosey/api/v1alpha1"
	"rosey.dev/rosey/runtime/config"
)

// Component is the value of LabelComponent, and what a process calls itself.
type Component string

// The components of a RoseyBot.
const (
	Bot      = Component(config.BotComponent)
	Database = Component(config.DatabaseComponent)
)

// Labels of everything that belongs to a RoseyBot.
const (
	// LabelRoseyBot holds the RoseyBot's name. With LabelComponent it selects pods.
	LabelRoseyBot = "rosey.dev/roseybot"
	// LabelComponent holds a Component.
	LabelComponent = "app.kubernetes.io/component"
	// LabelManagedBy holds ManagedBy. The operator sees only objects that carry it.
	LabelManagedBy = "app.kubernetes.io/managed-by"
	// ManagedBy is the value of LabelManagedBy.
	ManagedBy = "rosey-operator"
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
func with[Value ~string](given map[string]Value, ours map[string]string) map[string]string {
	all := map[string]string{}
	for key, value := range given {
		all[key] = string(value)
	}
	maps.Copy(all, ours)
	return all
}
