package controllers

import (
	"context"
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"rosey.dev/rosey/api/v1alpha1"
	"rosey.dev/rosey/controllers/manifests"
	"rosey.dev/rosey/runtime/status"
)

// situation is all that the status follows from.
type situation struct {
	outcome
	bot     *v1alpha1.RoseyBot
	seen    observed
	answers map[manifests.Component]answer
}

// verdict is a condition with a status, a reason and a message.
type verdict = metav1.Condition

func yes(reason, message string) verdict {
	return verdict{Status: metav1.ConditionTrue, Reason: reason, Message: message}
}

func no(reason, message string) verdict {
	return verdict{Status: metav1.ConditionFalse, Reason: reason, Message: message}
}

func unknown(message string) verdict {
	return verdict{Status: metav1.ConditionUnknown, Reason: v1alpha1.ReasonStatusUnknown, Message: message}
}

// computeStatus is pure but for the time of transitions, which is now.
func computeStatus(s situation, now time.Time) v1alpha1.RoseyBotStatus {
	verdicts := map[string]verdict{
		v1alpha1.ConditionBotAvailable:      botAvailable(s),
		v1alpha1.ConditionDatabaseAvailable: databaseAvailable(s),
		v1alpha1.ConditionChannelJoined:     channelJoined(s),
		v1alpha1.ConditionProgressing:       progressing(s),
		v1alpha1.ConditionUpdateAvailable:   updateAvailable(s),
	}
	verdicts[v1alpha1.ConditionReady] = ready(s, verdicts)

	status := *s.bot.Status.DeepCopy()
	status.ObservedGeneration = s.bot.Generation
	status.Selector = labels.SelectorFromSet(manifests.Selector(s.bot, manifests.Bot)).String()
	status.Bot = s.counts(manifests.Bot)
	status.Database = s.counts(manifests.Database)
	status.Replicas = status.Bot.Replicas
	status.Leader = leader(s)
	for _, kind := range []string{
		v1alpha1.ConditionReady, v1alpha1.ConditionBotAvailable, v1alpha1.ConditionDatabaseAvailable,
		v1alpha1.ConditionChannelJoined, v1alpha1.ConditionProgressing, v1alpha1.ConditionUpdateAvailable,
	} {
		one := verdicts[kind]
		one.Type, one.Message, one.ObservedGeneration = kind, oneLine(one.Message), s.bot.Generation
		one.LastTransitionTime = metav1.NewTime(now)
		meta.SetStatusCondition(&status.Conditions, one)
	}
	return status
}

// off says why a component has no pods by its user's wish.
func (s situation) off(component manifests.Component) (why verdict, isOff bool) {
	if manifests.Replicas(s.bot, component) > 0 {
		return verdict{}, false
	}
	if ptr.Deref(s.bot.Spec.Suspend, false) {
		return no(v1alpha1.ReasonSuspended, "spec.suspend is true"), true
	}
	return no(v1alpha1.ReasonScaledToZero, "spec.replicas is 0"), true
}

func (s situation) deployment(component manifests.Component) *appsv1.Deployment {
	return find[*appsv1.Deployment](s.seen, manifests.Name(s.bot, component))
}

func (s situation) counts(component manifests.Component) v1alpha1.ComponentStatus {
	existing, ready := s.seen.count(component)
	counts := v1alpha1.ComponentStatus{Replicas: existing, ReadyReplicas: ready, Summary: "-"}
	if component == manifests.Bot || manifests.HasService(s.bot) {
		counts.Summary = fmt.Sprintf("%d/%d", ready, s.wanted(component))
	}
	return counts
}

// wanted is the number of pods that should be there: the spec's, or what an autoscaler chose.
func (s situation) wanted(component manifests.Component) int32 {
	wanted := manifests.Replicas(s.bot, component)
	if live := s.deployment(component); live != nil && manifests.Autoscaled(s.bot, component) {
		return ptr.Deref(live.Spec.Replicas, wanted)
	}
	return wanted
}

// leader is the pod in the channel: the one that several bots name, as last heard, or the only one.
func leader(s situation) string {
	heard, asked := s.answers[manifests.Bot]
	pod := s.seen.newestPod(manifests.Bot)
	switch {
	case pod == nil:
		return ""
	case asked && heard.err == nil && heard.report.Leader != "":
		return heard.report.Leader
	case manifests.Standby(s.bot):
		return s.bot.Status.Leader
	case podReady(pod):
		return pod.Name
	}
	return ""
}

const longestMessage = 300 // more than a person reads, and it fits in an event

func oneLine(message string) string { return status.OneLine(message, longestMessage) }

// writeStatus writes only a status that differs, and tells of a transition only once it is written.
func (r *Reconciler) writeStatus(ctx context.Context, bot *v1alpha1.RoseyBot, status v1alpha1.RoseyBotStatus) error {
	if apiequality.Semantic.DeepEqual(bot.Status, status) {
		return nil
	}
	key := client.ObjectKeyFromObject(bot)
	if replaced, _ := r.replaced.Load(key); replaced == bot.ResourceVersion {
		return nil // the cache is behind our last status, so this would be refused; when it knows it, the next pass starts
	}
	before := meta.FindStatusCondition(bot.Status.Conditions, v1alpha1.ConditionReady)
	updated := bot.DeepCopy()
	updated.Status = status
	if err := r.Client.Status().Update(ctx, updated); err != nil {
		if apierrors.IsConflict(err) || apierrors.IsNotFound(err) {
			return nil // the change that the cache does not know of yet starts the next pass
		}
		return fmt.Errorf("writing the status: %w", err)
	}
	if updated.ResourceVersion != bot.ResourceVersion {
		r.replaced.Store(key, bot.ResourceVersion)
	}
	r.tell(bot, before, meta.FindStatusCondition(status.Conditions, v1alpha1.ConditionReady))
	return nil
}

// tell emits an event when the summary changes: not at every pass, and not for each condition.
func (r *Reconciler) tell(bot *v1alpha1.RoseyBot, before, after *metav1.Condition) {
	if before != nil && before.Status == after.Status && before.Reason == after.Reason {
		return
	}
	kind := corev1.EventTypeWarning
	if after.Status == metav1.ConditionTrue || askedFor[after.Reason] || onTheWay[after.Reason] {
		kind = corev1.EventTypeNormal
	}
	r.Events.Eventf(bot, nil, kind, after.Reason, "Reconcile", "%s", after.Message)
}
