package controllers

import (
	"context"
	"fmt"
	"slices"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"rosey.dev/rosey/api/v1alpha1"
	"rosey.dev/rosey/controllers/manifests"
	"rosey.dev/rosey/runtime/status"
)

// statusInput is everything that the status is computed from.
type statusInput struct {
	bot      *v1alpha1.RoseyBot
	observed observed
	applied  applied
	reports  map[string]probeResult // by the name of the pod that was probed
	// mountErrors are what the kubelet says about the volumes of pods that do not start.
	mountErrors map[types.UID]string
	// update is the automatic update that has begun, or nil; updateFailed is set if it takes too long.
	update       *v1alpha1.UpdateStatus
	updateFailed bool
}

// computeStatus returns the status of a RoseyBot. It is pure; now is the time of transitions.
func computeStatus(in statusInput, now time.Time) v1alpha1.RoseyBotStatus {
	var conditions []metav1.Condition
	add := func(conditionType string, condition *metav1.Condition) {
		if condition != nil {
			condition.Type = conditionType
			conditions = append(conditions, *condition)
		}
	}
	add(v1alpha1.ConditionDatabaseAvailable, databaseCondition(in))
	add(v1alpha1.ConditionBotAvailable, availableCondition(in, manifests.Bot,
		"a bot pod is ready"+tracesNote(in)+overridesNote(in)))
	add(v1alpha1.ConditionChannelJoined, joinedCondition(in))
	add(v1alpha1.ConditionDurable, durableCondition(in))
	left := unfinishedRollout(in)
	summary := readyCondition(in, conditions, left,
		missingPods(in, manifests.Bot, now), missingPods(in, manifests.Database, now))
	stalls := stalledCondition(in, summary, now)
	add(v1alpha1.ConditionReady, summary)
	plugins := pluginStates(in)
	add(v1alpha1.ConditionWebAvailable, webCondition(in)) // Ready depends neither on it nor on plugins
	add(v1alpha1.ConditionPluginsAvailable, pluginsCondition(in, plugins))
	update := unfinishedUpdate(in, summary)
	add(v1alpha1.ConditionUpdateAvailable, updateCondition(in, update))
	add(v1alpha1.ConditionReconciling, reconcilingCondition(left, stalls))
	add(v1alpha1.ConditionStalled, stalls)

	next := *in.bot.Status.DeepCopy()
	next.ObservedGeneration = in.bot.Generation
	next.Selector = labels.SelectorFromSet(manifests.Selector(in.bot, manifests.Bot)).String()
	next.Bot = in.componentStatus(manifests.Bot)
	next.Database = in.componentStatus(manifests.Database)
	next.Web = v1alpha1.ComponentStatus{}
	if manifests.HasWeb(in.bot) {
		next.Web = in.componentStatus(manifests.Web)
	}
	next.Plugins = pluginStatuses(in, plugins)
	next.Replicas = next.Bot.Replicas
	next.Leader = leaderName(in)
	next.LastBackupTime = lastBackup(in, now)
	next.Update = update
	next.Pinned = in.applied.pinned
	next.Conditions = slices.DeleteFunc(next.Conditions, func(before metav1.Condition) bool {
		return meta.FindStatusCondition(conditions, before.Type) == nil
	})
	for _, condition := range conditions {
		condition.Message = status.OneLine(condition.Message, maxConditionMessage) // parts of it come from pods
		condition.ObservedGeneration, condition.LastTransitionTime = in.bot.Generation, metav1.NewTime(now)
		meta.SetStatusCondition(&next.Conditions, condition)
	}
	return next
}

// lastBackup returns when the newest backup was made, as far as the pods that have the SQLite database say. A time in
// the future is none, and neither is one before 1970: the API server rejects the whole status if a year in it does
// not have four digits.
func lastBackup(in statusInput, now time.Time) *metav1.Time {
	for _, component := range manifests.Components(in.bot) {
		if !manifests.BacksUp(in.bot, component) {
			continue
		}
		last := in.bot.Status.LastBackupTime
		if pod := in.observed.newestPod(component); pod != nil {
			reported := in.reports[pod.Name].report.LastBackup
			if reported.After(time.Unix(0, 0)) && reported.Before(now.Add(time.Minute)) {
				last = new(metav1.NewTime(reported.Truncate(time.Second)))
			}
		}
		return last
	}
	return nil
}

// liveObject returns the live object of type T with a name. It returns nil if there is none, and also if this reconcile
// wrote it: the observed one is then out of date, and its status is about an older spec.
func liveObject[T client.Object](in statusInput, name string) (none T) {
	found := manifests.Find[T](in.observed.Observed, name)
	if client.Object(found) == client.Object(none) || in.applied.written[manifests.KeyOf(found)] {
		return none
	}
	return found
}

func (in statusInput) deployment(component manifests.Component) *appsv1.Deployment {
	return liveObject[*appsv1.Deployment](in, manifests.Name(in.bot, component))
}

func (in statusInput) claim(name string) *corev1.PersistentVolumeClaim {
	return liveObject[*corev1.PersistentVolumeClaim](in, name)
}

func (in statusInput) componentStatus(component manifests.Component) v1alpha1.ComponentStatus {
	counts := in.observed.countPods(component)
	counts.Summary = "-"
	if slices.Contains(manifests.Components(in.bot), component) {
		counts.Summary = fmt.Sprintf("%d/%d", counts.ReadyReplicas, in.desiredReplicas(component))
	}
	return counts
}

// desiredReplicas returns the number of pods that the spec asks for, or that an autoscaler chose.
func (in statusInput) desiredReplicas(component manifests.Component) int32 {
	replicas := manifests.Replicas(in.bot, component)
	if live := in.deployment(component); live != nil && manifests.Autoscaled(in.bot, component) {
		return ptr.Deref(live.Spec.Replicas, replicas)
	}
	return replicas
}

// writeStatus writes the status if it differs from the observed one, and emits an event if Ready changed. It returns
// the time after which the reconcile must be repeated because the status could not be written now, or 0.
func (r *Reconciler) writeStatus(
	ctx context.Context, in statusInput, status v1alpha1.RoseyBotStatus,
) (retry time.Duration, _ error) {
	bot, memory := in.bot, r.memories.of(in.bot)
	if memory.replacedVersion == bot.ResourceVersion {
		return cacheInterval, nil // the observed status is not the last one, and an update would be refused
	}
	if apiequality.Semantic.DeepEqual(bot.Status, status) {
		memory.progressing = time.Time{}
		return 0, nil
	}
	if wait := r.settle(in, status); wait > 0 {
		return wait, nil
	}
	if bot.Status.ObservedGeneration == bot.Generation {
		if wait := r.statusWrites.reserve(client.ObjectKeyFromObject(bot), r.now()); wait > 0 {
			return wait, nil
		}
	}
	updated := bot.DeepCopy()
	updated.Status = status
	if err := r.Client.Status().Update(ctx, updated); err != nil {
		if apierrors.IsConflict(err) || apierrors.IsNotFound(err) {
			return cacheInterval, nil // the cache was out of date
		}
		return 0, fmt.Errorf("writing the status: %w", err)
	}
	memory.progressing = time.Time{}
	if updated.ResourceVersion != bot.ResourceVersion {
		memory.replacedVersion = bot.ResourceVersion
	}
	r.emitEvents(bot, status.Conditions)
	return 0, nil
}

const (
	// maxConditionMessage bounds the message of a condition in characters. The longest of ours has two IDs of databases
	// and a command.
	maxConditionMessage = 800
	// maxEventBytes is what the API server accepts in an event, and maxEventMessage fits in it whatever the characters.
	maxEventBytes   = 1024
	maxEventMessage = 300
)

const (
	minPollInterval = 2 * time.Second
	maxPollInterval = 30 * time.Second
	// readyPollInterval is the time after which a ready pod is probed again: its readiness does not say whether events are
	// durable.
	readyPollInterval = time.Minute
	// servicePollInterval is the longest time between two requests for the channels that a database service serves.
	servicePollInterval = 15 * time.Second
	// cacheInterval is how long a reconcile waits for a cache that is out of date.
	cacheInterval = 500 * time.Millisecond
)

// pollInterval returns the time after which a reconcile is repeated although no object changed. It is 0, for never,
// while the RoseyBot is as the spec says and has no pod to probe: then a change of an object or of a pod's readiness
// starts the next reconcile.
func pollInterval(bot *v1alpha1.RoseyBot, status v1alpha1.RoseyBotStatus, now time.Time) time.Duration {
	ready := meta.FindStatusCondition(status.Conditions, v1alpha1.ConditionReady)
	optional := sooner(webPoll(status, now), pluginsPoll(bot, status, now))
	return sooner(readyPoll(bot, ready, now), optional)
}

// readyPoll is pollInterval without the web page and the plugins.
func readyPoll(bot *v1alpha1.RoseyBot, ready *metav1.Condition, now time.Time) time.Duration {
	if ready.Status == metav1.ConditionTrue {
		switch {
		case hasSeverity(ready.Reason, requested),
			bot.Spec.Mode == v1alpha1.ModeDirect && !manifests.BacksUp(bot, manifests.Bot) && bot.Spec.Telemetry == nil:
			return 0
		case manifests.HasStandbys(bot):
			return maxPollInterval // the leader can change while all pods stay ready
		}
		return readyPollInterval
	}
	longest := maxPollInterval
	if ready.Reason == v1alpha1.ReasonChannelNotServed {
		longest = servicePollInterval // no object changes when a pod has read the list of channels
	}
	return backOff(ready, now, longest)
}

// backOff returns half the time since a condition changed, between minPollInterval and longest.
func backOff(condition *metav1.Condition, now time.Time, longest time.Duration) time.Duration {
	return min(max(now.Sub(condition.LastTransitionTime.Time)/2, minPollInterval), longest)
}

// emitEvents emits an event when the status or reason of Ready, WebAvailable or PluginsAvailable changes, unless there
// were too many. The other conditions emit none, because Ready summarizes them, and neither does progress. It is a
// warning if somebody has to fix the reason. One that may pass becomes a warning when the RoseyBot is stalled.
func (r *Reconciler) emitEvents(bot *v1alpha1.RoseyBot, conditions []metav1.Condition) {
	r.emitChange(bot, conditions, v1alpha1.ConditionReady, "")
	r.emitChange(bot, conditions, v1alpha1.ConditionWebAvailable, displayName(manifests.Web)+": ")
	r.emitChange(bot, conditions, v1alpha1.ConditionPluginsAvailable, "plugins: ")
	wasStalled := meta.FindStatusCondition(bot.Status.Conditions, v1alpha1.ConditionStalled) != nil
	stalls := meta.FindStatusCondition(conditions, v1alpha1.ConditionStalled)
	if stalls != nil && !wasStalled && isHarmless(stalls.Reason) {
		r.emit(bot, corev1.EventTypeWarning, stalls)
	}
}

// emitChange emits an event if the status or reason of a condition has changed. Its message begins with what the
// condition is about, unless that is the RoseyBot.
func (r *Reconciler) emitChange(
	bot *v1alpha1.RoseyBot, conditions []metav1.Condition, conditionType, about string,
) {
	before := meta.FindStatusCondition(bot.Status.Conditions, conditionType)
	after := meta.FindStatusCondition(conditions, conditionType)
	if after == nil || about != "" && hasSeverity(after.Reason, transient, requested) { // the event of Ready says so
		return
	}
	if before != nil && before.Status == after.Status &&
		(before.Reason == after.Reason || hasSeverity(after.Reason, transient)) {
		return
	}
	eventType := corev1.EventTypeWarning
	if after.Status == metav1.ConditionTrue || isHarmless(after.Reason) {
		eventType = corev1.EventTypeNormal
	}
	event := *after
	event.Message = about + event.Message
	r.emit(bot, eventType, &event)
}

func (r *Reconciler) emit(bot *v1alpha1.RoseyBot, eventType string, condition *metav1.Condition) {
	if _, allowed := r.eventLimit.allow(client.ObjectKeyFromObject(bot), r.now()); !allowed {
		return // the condition says the same
	}
	message := condition.Message
	if len(message) > maxEventBytes {
		message = status.OneLine(message, maxEventMessage)
	}
	r.Events.Eventf(bot, nil, eventType, condition.Reason, "Reconcile", "%s", message)
}
