package controllers

import (
	"context"
	"fmt"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"rosey.dev/rosey/api/v1alpha1"
	"rosey.dev/rosey/controllers/manifests"
	"rosey.dev/rosey/runtime/status"
)

// checkSharedOwner returns a problem if the RoseyBot that database.sharedFrom names cannot share its database service.
func checkSharedOwner(bot *v1alpha1.RoseyBot, observed observed) *problem {
	owner, name := observed.Owner, "RoseyBot "+manifests.SharedFrom(bot)
	switch {
	case manifests.SharedFrom(bot) == "":
		return nil
	case owner == nil:
		return &problem{
			reason: v1alpha1.ReasonSharedOwnerMissing, message: name + " does not exist, but database.sharedFrom names it",
		}
	case isTooLarge(owner):
		return &problem{reason: v1alpha1.ReasonSharedOwnerUnusable, message: name + " is too large"}
	case !manifests.HasService(owner):
		return &problem{
			reason: v1alpha1.ReasonSharedOwnerUnusable, message: name + " has no database service of its own to share",
		}
	case manifests.HasStandbys(bot) && ptr.Deref(manifests.NATS(owner, nil).JetStream, v1alpha1.JetStream{}).Mode ==
		v1alpha1.JetStreamNever:
		message := name + " has nats.jetStream.mode Never: expected another mode, or replicas of at most 1"
		return &problem{reason: v1alpha1.ReasonSharedOwnerUnusable, message: message}
	}
	if _, refused := manifests.AcceptSharers(owner, observed.sharers); refused[bot.Name] != "" {
		return &problem{reason: v1alpha1.ReasonSharedOwnerUnusable, message: refused[bot.Name]}
	}
	return nil
}

// observeSharing reads from the cache which RoseyBots use the same database service, which channels it has to serve,
// and its pods.
func (r *Reconciler) observeSharing(ctx context.Context, bot *v1alpha1.RoseyBot, found *observed) error {
	owner := manifests.ServiceOwner(bot)
	if owner == "" {
		return nil
	}
	sharers := &v1alpha1.RoseyBotList{}
	err := r.Client.List(ctx, sharers, client.InNamespace(bot.Namespace), client.MatchingFields{sharedFromIndex: owner},
		client.UnsafeDisableDeepCopy) // they are only read, and there may be hundreds
	if err != nil {
		return fmt.Errorf("listing the RoseyBots that share the database service of %s: %w", owner, err)
	}
	found.sharers = sharers.Items
	if !manifests.HasService(bot) {
		found.servicePods, err = r.listPods(ctx, bot, client.MatchingFields{roseyBotIndex: owner},
			client.MatchingLabels{manifests.LabelComponent: string(manifests.Database)})
		return err
	}
	found.servicePods = found.pods[manifests.Database]
	// Also those of RoseyBots that were deleted, or that share another service now.
	others, err := r.listPods(ctx, bot, client.MatchingFields{servedByIndex: bot.Name})
	bots := slices.Concat(found.pods[manifests.Bot], others)
	var served []manifests.ServedChannel
	for i := range bots {
		if !podEnded(&bots[i]) {
			served = append(served, manifests.ReadServedChannel(bots[i].Annotations))
		}
	}
	found.Channels = manifests.ListChannels(bot, found.sharers, served)
	return err
}

// servedByIndex is the index of pods by the RoseyBot whose database service they use, if that is not their own.
const servedByIndex = "servedBy"

func servedBy(pod client.Object) []string {
	owner := manifests.ReadServedChannel(pod.GetAnnotations()).Owner
	if owner == "" || owner == pod.GetLabels()[manifests.LabelRoseyBot] {
		return nil
	}
	return []string{owner}
}

func (r *Reconciler) listPods(
	ctx context.Context, bot *v1alpha1.RoseyBot, selected ...client.ListOption,
) ([]corev1.Pod, error) {
	pods := &corev1.PodList{}
	if err := r.Client.List(ctx, pods, append(selected, client.InNamespace(bot.Namespace))...); err != nil {
		return nil, fmt.Errorf("listing pods: %w", err)
	}
	return pods.Items, nil
}

// requestForOwner returns a request for the RoseyBot whose database service a RoseyBot shares: its list of channels
// depends on those of its sharers.
func requestForOwner(_ context.Context, object client.Object) []reconcile.Request {
	bot, isBot := object.(*v1alpha1.RoseyBot)
	if !isBot || manifests.SharedFrom(bot) == "" {
		return nil
	}
	owner := types.NamespacedName{Namespace: bot.Namespace, Name: manifests.SharedFrom(bot)}
	return []reconcile.Request{{NamespacedName: owner}}
}

// waitForService returns a problem while the bot may not start, or not change its channel or its service, because a pod
// of the database service does not serve the channel yet: that pod would refuse the first lines.
func (r *Reconciler) waitForService(ctx context.Context, bot *v1alpha1.RoseyBot, observed observed) *problem {
	if !needsService(bot, observed) {
		return nil
	}
	channel, started := manifests.ChannelName(bot), 0
	var waits *problem
	for i := range observed.servicePods {
		pod := &observed.servicePods[i]
		if running, _ := podRunning(pod); !running || !pod.DeletionTimestamp.IsZero() {
			continue // it reads the list when it starts
		}
		started++
		if found := r.serves(ctx, bot, pod, channel); found != nil && waits == nil {
			waits = found
		}
	}
	if started == 0 {
		return notServed("no pod of the database service runs that could serve " + channel)
	}
	return waits
}

// serves returns a problem if a pod of the database service does not report that it serves a channel.
func (r *Reconciler) serves(ctx context.Context, bot *v1alpha1.RoseyBot, pod *corev1.Pod, channel string) *problem {
	name := "pod " + pod.Name + " of the database service"
	if pod.Status.PodIP == "" {
		return notServed(name + " has no address yet")
	}
	result, found := r.probes.latest(ctx, client.ObjectKeyFromObject(bot), pod, manifests.Database, 0)
	reason, isRefused := result.report.RefusedChannels[channel]
	switch {
	case !found:
		return notServed(name + " has not reported its status yet")
	case result.err != nil:
		return notServed(fmt.Sprintf("%s does not report its status: %v", name, result.err))
	case isRefused:
		return &problem{reason: string(status.ReasonChannelOwned), message: reason}
	case !slices.Contains(result.report.Channels, channel):
		return notServed(name + " does not serve " + channel + " yet")
	}
	return nil
}

func notServed(message string) *problem {
	return &problem{reason: v1alpha1.ReasonChannelNotServed, message: "the bot waits: " + message}
}

// needsService reports whether the database service has to serve the channel before the Deployment of the bot is
// written. A service that starts together with its own bot does.
func needsService(bot *v1alpha1.RoseyBot, observed observed) bool {
	wanted, shares := manifests.ServedChannelOf(bot), manifests.SharedFrom(bot) != ""
	if wanted.Owner == "" || manifests.Replicas(bot, manifests.Bot) == 0 {
		return false
	}
	live := manifests.Find[*appsv1.Deployment](observed.Observed, manifests.Name(bot, manifests.Bot))
	if live == nil || ptr.Deref(live.Spec.Replicas, 1) == 0 {
		return shares
	}
	served := manifests.ReadServedChannel(live.Spec.Template.Annotations)
	return served != wanted && (shares || served.Owner != "")
}
