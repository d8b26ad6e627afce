package controllers

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"rosey.dev/rosey/api/v1alpha1"
	"rosey.dev/rosey/controllers/manifests"
	"rosey.dev/rosey/runtime/config"
	"rosey.dev/rosey/runtime/status"
)

// A plugin is available if a pod of it is ready, and the bot in the channel reports that it can call it. The bot reads
// the list of plugins while it runs, and the kubelet takes up to two minutes to bring it a change: its report has the
// hash of the list that is in force.

// pluginState is what is known of one plugin.
type pluginState struct {
	plugin    *v1alpha1.Plugin
	condition *metav1.Condition
	commands  []string
}

// pluginStates returns what is known of the plugins, in the order of the spec.
func pluginStates(in statusInput) (states []pluginState) {
	if !manifests.HasPlugins(in.bot) {
		return nil
	}
	for i := range in.bot.Spec.Plugins {
		states = append(states, stateOfPlugin(in, &in.bot.Spec.Plugins[i]))
	}
	return states
}

// stateOfPlugin returns what the pods of a plugin say, and if they are well, what the bot says about it.
func stateOfPlugin(in statusInput, plugin *v1alpha1.Plugin) pluginState {
	component := manifests.PluginComponent(*plugin)
	state := pluginState{plugin: plugin, condition: optionalCondition(in, component, "")}
	if own := stateInHost(in, plugin, state.condition); own != nil {
		state.condition = own
	}
	reported, missing := reportedByBot(in, string(plugin.Name))
	state.commands = reported.Commands
	switch {
	case state.condition.Status != metav1.ConditionTrue:
	case missing != nil:
		state.condition = missing
	case !reported.OK:
		state.condition = conditionFalse(string(reported.Reason), reported.Message)
	case reported.Reason != status.ReasonReady:
		state.condition.Message = joinNotes(state.condition.Message, reported.Message)
	}
	return state
}

// joinNotes joins the notes that are not empty.
func joinNotes(notes ...string) string {
	return strings.Join(slices.DeleteFunc(notes, func(note string) bool { return note == "" }), "; ")
}

// stateInHost returns what the host reports about a built-in plugin whose pods are in a condition. It returns nil if
// the host does not know better: it is not ready while one of its plugins fails, and its message is about the first of
// them.
func stateInHost(in statusInput, plugin *v1alpha1.Plugin, pods *metav1.Condition) *metav1.Condition {
	pod := in.observed.newestPod(manifests.Plugins)
	if plugin.Builtin == "" || pod == nil {
		return nil
	}
	report, isReady := in.reports[pod.Name].report, pods.Status == metav1.ConditionTrue
	own, found := findPlugin(report, string(plugin.Name))
	switch {
	case !found || !isReady && pods.Reason != string(report.Reason): // Kubernetes knows another cause
		return nil
	case !own.OK:
		return conditionFalse(translateReason(in, manifests.Plugins, own.Reason, own.Message))
	case isReady:
		return nil
	}
	return conditionTrue(v1alpha1.ReasonAvailable, "")
}

func findPlugin(report status.Report, name string) (found status.PluginReport, isReported bool) {
	for _, one := range report.Plugins {
		if one.Name == name {
			return one, true
		}
	}
	return status.PluginReport{}, false
}

// reportedByBot returns what the bot in the channel reports about a plugin, or the condition that says why it reports
// nothing. While nobody asks for a bot, the pods alone count.
func reportedByBot(in statusInput, name string) (reported status.PluginReport, missing *metav1.Condition) {
	if manifests.Replicas(in.bot, manifests.Bot) == 0 {
		return status.PluginReport{OK: true, Message: "no bot is asked for that could call it"}, nil
	}
	report, missing := pluginsReport(in)
	if missing != nil {
		return reported, missing
	}
	reported, found := findPlugin(report, name)
	if !found {
		return reported, conditionFalse(v1alpha1.ReasonProgressing, notReadYet)
	}
	return reported, nil
}

// pluginsReport returns the report of the bot in the channel, or the condition that says why there is none.
func pluginsReport(in statusInput) (report status.Report, missing *metav1.Condition) {
	pod := leaderPod(in)
	if running, _ := podRunning(pod); !running {
		return report, conditionFalse(v1alpha1.ReasonBotNotRunning, "no bot is running that could call it")
	}
	if report, missing = reportOf(in, pod, manifests.Bot); missing == nil && len(report.LiveFiles) == 0 {
		missing = conditionFalse(v1alpha1.ReasonProgressing, "the bot does not report which plugins it knows: expected an "+
			"image of this version of the operator")
	}
	return report, missing
}

const notReadYet = "the bot has not read the last change yet, which takes up to two minutes"

// pluginsCondition returns PluginsAvailable, or nil if the spec asks for no plugins.
func pluginsCondition(in statusInput, states []pluginState) *metav1.Condition {
	if len(states) == 0 {
		return nil
	}
	var failing []metav1.Condition
	var names []string
	for _, state := range states {
		if state.condition.Status == metav1.ConditionTrue {
			continue
		}
		one := *state.condition
		one.Message = fmt.Sprintf("plugin %s: %s", state.plugin.Name, one.Message)
		failing, names = append(failing, one), append(names, string(state.plugin.Name))
	}
	for _, found := range []*metav1.Condition{unreadPlugins(in), outdatedService(in)} {
		if found != nil {
			failing = append(failing, *found)
		}
	}
	if len(failing) == 0 {
		return availablePlugins(in, states)
	}
	first := slices.MinFunc(failing, compareReasons)
	if hasSeverity(first.Reason, requested) {
		return conditionFalse(first.Reason, "spec.suspend is true")
	}
	if len(names) > 1 {
		first.Message += fmt.Sprintf("; %d of %d plugins are not available: %s", len(names), len(states),
			strings.Join(names, ", "))
	}
	return keepLastPlugins(in, &first)
}

// keepLastPlugins returns the condition as it was if an operator that has just started has not asked the bot yet.
func keepLastPlugins(in statusInput, now *metav1.Condition) *metav1.Condition {
	pod := leaderPod(in)
	if now.Reason != string(status.ReasonStarting) || pod == nil {
		return now
	}
	return cmp.Or(keepUnasked(in, pod, v1alpha1.ConditionPluginsAvailable), now)
}

// unreadPlugins returns a condition while the bot has not read the last change of the plugins or commands, and nil if
// it has, or if nothing is known of it.
func unreadPlugins(in statusInput) *metav1.Condition {
	report, missing := pluginsReport(in)
	files, err := manifests.LiveFiles(in.bot)
	if missing != nil || err != nil || manifests.Replicas(in.bot, manifests.Bot) == 0 {
		return nil
	}
	if check, _ := findCheck(report, status.PluginsCheck); check.Reason == status.ReasonPluginsInvalid {
		return conditionFalse(string(check.Reason), check.Message)
	}
	for _, name := range []string{config.PluginsFile, config.CommandsFile} {
		if report.LiveFiles[name] != status.ContentHash([]byte(files[name])) {
			return conditionFalse(v1alpha1.ReasonProgressing, notReadYet)
		}
	}
	return nil
}

// outdatedService returns a condition while the database service that the RoseyBot shares keeps nothing for plugins. A
// service of its own is updated together with the bot.
func outdatedService(in statusInput) *metav1.Condition {
	owner := in.observed.Owner
	if manifests.SharedFrom(in.bot) == "" || owner == nil || manifests.ServiceKeepsPluginKeys(owner) {
		return nil
	}
	return conditionFalse(v1alpha1.ReasonServiceOutdated, fmt.Sprintf("the database service of RoseyBot %s is of an "+
		"earlier version, which keeps nothing for plugins, and waits for its update: set updatePolicy Automatic there, or "+
		"change its spec.database", owner.Name))
}

// availablePlugins returns the condition while all plugins are available.
func availablePlugins(in statusInput, states []pluginState) *metav1.Condition {
	message := fmt.Sprintf("%d plugins are available", len(states))
	if len(states) == 1 {
		message = "1 plugin is available"
	}
	for _, state := range states {
		if note := state.condition.Message; note != "" {
			message += fmt.Sprintf("; plugin %s: %s", state.plugin.Name, note)
		}
	}
	report, missing := pluginsReport(in)
	check, _ := findCheck(report, status.PluginsCheck)
	mustBeKnown := check.Reason == status.ReasonPermissionsNotEnforced || check.Reason == status.ReasonOverridesUnused
	if missing == nil && mustBeKnown {
		return conditionTrue(string(check.Reason), joinNotes(message, check.Message))
	}
	return conditionTrue(v1alpha1.ReasonAvailable, message)
}

// overridesNote returns which overrides of commands are about nothing, for the message of a condition, or "". With
// plugins, PluginsAvailable says it.
func overridesNote(in statusInput) string {
	report, missing := pluginsReport(in)
	check, _ := findCheck(report, status.PluginsCheck)
	if manifests.HasPlugins(in.bot) || missing != nil || check.Reason != status.ReasonOverridesUnused {
		return ""
	}
	return "; " + check.Message
}

// maxPluginMessage is the length of the message about a plugin in the status, in characters.
const maxPluginMessage = 399

// pluginStatuses returns status.plugins.
func pluginStatuses(in statusInput, states []pluginState) (statuses []v1alpha1.PluginStatus) {
	for _, state := range states {
		counts := in.observed.countPods(manifests.PluginComponent(*state.plugin))
		statuses = append(statuses, v1alpha1.PluginStatus{
			Name: state.plugin.Name, Replicas: counts.Replicas, ReadyReplicas: counts.ReadyReplicas,
			Reason: state.condition.Reason, Message: status.OneLine(state.condition.Message, maxPluginMessage),
			Commands: state.commands,
		})
	}
	return statuses
}

// awaitsPlugins reports whether the next report of a pod may say what is not known, or not well, about plugins.
func awaitsPlugins(bot *v1alpha1.RoseyBot, conditions []metav1.Condition) bool {
	condition := meta.FindStatusCondition(conditions, v1alpha1.ConditionPluginsAvailable)
	return manifests.HasPlugins(bot) && condition != nil && condition.Status != metav1.ConditionTrue &&
		!hasSeverity(condition.Reason, requested)
}

// pluginsPoll returns the time after which the plugins are looked at again, or 0 for never: a ready bot is asked anyway
// now and then.
func pluginsPoll(bot *v1alpha1.RoseyBot, status v1alpha1.RoseyBotStatus, now time.Time) time.Duration {
	if !awaitsPlugins(bot, status.Conditions) {
		return 0
	}
	condition := meta.FindStatusCondition(status.Conditions, v1alpha1.ConditionPluginsAvailable)
	return backOff(condition, now, maxPollInterval)
}
