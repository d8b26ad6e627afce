package controllers

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"rosey.dev/rosey/api/v1alpha1"
	"rosey.dev/rosey/controllers/manifests"
)

// The defaults of LimitUpdates.
const (
	DefaultMaxUpdates     = 1
	DefaultUpdateDeadline = 10 * time.Minute
)

// maxWriteDelay is the longest time from the beginning of an update to the status that says so.
const maxWriteDelay = 30 * time.Second

// updates bounds how many RoseyBots with updatePolicy Automatic change at a time because the operator is newer: an
// image that does not work must not take all of them out of their channels. What runs is also recorded in an annotation
// of the bot's Deployment, so that an operator that is restarted goes on where the former one was. It is safe for
// concurrent use.
type updates struct {
	most     int
	deadline time.Duration

	mu      sync.Mutex
	seeded  bool
	running map[types.NamespacedName]update
	waiting map[types.NamespacedName]bool
}

// update is an update of one RoseyBot that has begun.
type update struct {
	began    time.Time
	wasReady bool
}

func newUpdates(most int, deadline time.Duration) *updates {
	return &updates{
		most: most, deadline: deadline,
		running: map[types.NamespacedName]update{}, waiting: map[types.NamespacedName]bool{},
	}
}

// LimitUpdates sets how many RoseyBots are updated at a time, and how long one may take that was ready before. It must
// be called before SetupWithManager.
func (r *Reconciler) LimitUpdates(most int, deadline time.Duration) {
	r.updates = newUpdates(most, deadline)
}

// pinned is what is written, and what is not yet although the operator would build it from the same spec.
type pinned struct {
	desired []manifests.Desired
	updates []string // what the operator would change
	waits   string   // what an automatic update waits for
}

// pin decides about what differs only because the operator is newer: by the RoseyBot's updatePolicy, it is left as it
// is or written when it is this RoseyBot's turn.
func (r *Reconciler) pin(
	ctx context.Context, bot *v1alpha1.RoseyBot, built []manifests.Desired, observed observed,
) pinned {
	key, now := client.ObjectKeyFromObject(bot), r.now()
	r.updates.seed(ctx, r.Client)
	annotated, left, updates := manifests.Pending(bot, built, observed.Observed)
	began := manifests.UpdateBegan(bot, observed.Observed)
	if len(updates) == 0 {
		r.updates.current(key, began != "")
		return pinned{desired: manifests.MarkUpdate(bot, annotated, began)}
	}
	waits := ""
	if bot.Spec.UpdatePolicy == v1alpha1.UpdateAutomatic {
		var begun update
		if begun, waits = r.updates.begin(key, isReady(bot), now); waits == "" {
			return pinned{desired: manifests.MarkUpdate(bot, annotated, begun.String())}
		}
	}
	return pinned{manifests.MarkUpdate(bot, left, began), updates, waits}
}

func isReady(bot *v1alpha1.RoseyBot) bool {
	return meta.IsStatusConditionTrue(bot.Status.Conditions, v1alpha1.ConditionReady)
}

// String returns the value of the annotation. parseUpdate reads it.
func (u update) String() string {
	text := u.began.UTC().Format(time.RFC3339)
	if u.wasReady {
		text += " ready"
	}
	return text
}

func parseUpdate(text string) (update, bool) {
	began, state, _ := strings.Cut(text, " ")
	at, err := time.Parse(time.RFC3339, began)
	return update{at, state == "ready"}, err == nil
}

// begin begins the update of a RoseyBot, unless it has begun already, or returns what it has to wait for.
func (u *updates) begin(bot types.NamespacedName, ready bool, now time.Time) (begun update, waits string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if one, running := u.running[bot]; running && now.Sub(one.began) <= u.deadline {
		return one, "" // the cache does not have the write yet, or the operator was replaced once more
	}
	others := 0
	for other, one := range u.running {
		late := now.Sub(one.began) > u.deadline
		switch {
		case other == bot:
		case late && one.wasReady:
			u.waiting[bot] = true
			return update{}, fmt.Sprintf("no RoseyBot is updated, because %s was ready before its update and has not become "+
				"ready again within %s", nameFor(bot, other), u.deadline)
		case !late:
			others++
		}
	}
	if others >= u.most {
		u.waiting[bot] = true
		return update{}, fmt.Sprintf("as many RoseyBots as may change at a time are being updated: %d", u.most)
	}
	delete(u.waiting, bot)
	u.running[bot] = update{now, ready}
	return u.running[bot], ""
}

// nameFor returns the name of a RoseyBot for the users of another one, who may not know what there is in other
// namespaces.
func nameFor(bot, other types.NamespacedName) string {
	if bot.Namespace == other.Namespace {
		return "RoseyBot " + other.Name
	}
	return "a RoseyBot of another namespace"
}

// end records that the update of a RoseyBot has ended, if there was one.
func (u *updates) end(bot types.NamespacedName) {
	u.mu.Lock()
	defer u.mu.Unlock()
	delete(u.running, bot)
}

// forget forgets a RoseyBot that was deleted.
func (u *updates) forget(bot types.NamespacedName) {
	u.end(bot)
	u.current(bot, false)
}

// current records that a RoseyBot has nothing to wait for. If it was not updated either, its spec has changed.
func (u *updates) current(bot types.NamespacedName, updated bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	delete(u.waiting, bot)
	if !updated {
		delete(u.running, bot)
	}
}

// poll returns the time after which a reconcile is repeated, which is at most interval, or 0 for never. Of many
// RoseyBots that wait for their update, one tries again soon after another has ended.
func (u *updates) poll(bot types.NamespacedName, interval time.Duration) time.Duration {
	u.mu.Lock()
	defer u.mu.Unlock()
	wait := max(minPollInterval, time.Duration(len(u.waiting))*50*time.Millisecond)
	if !u.waiting[bot] || interval > 0 && interval < wait {
		return interval
	}
	return wait
}

// isLate reports whether the update of a RoseyBot that was ready before takes longer than it may.
func (u *updates) isLate(bot types.NamespacedName, now time.Time) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	one, running := u.running[bot]
	return running && one.wasReady && now.Sub(one.began) > u.deadline
}

// seed records, once, the updates that an earlier operator began. The cache is not asked again.
func (u *updates) seed(ctx context.Context, cache client.Reader) {
	u.mu.Lock()
	defer u.mu.Unlock()
	bots, deployments := &v1alpha1.RoseyBotList{}, &appsv1.DeploymentList{}
	if u.seeded || cache.List(ctx, bots) != nil || cache.List(ctx, deployments) != nil {
		return
	}
	u.seeded = true
	annotations := map[types.NamespacedName]string{}
	for i := range deployments.Items {
		live := &deployments.Items[i]
		annotations[client.ObjectKeyFromObject(live)] = live.Annotations[manifests.UpdateAnnotation]
	}
	for i := range bots.Items {
		bot := &bots.Items[i]
		name := types.NamespacedName{Namespace: bot.Namespace, Name: manifests.Name(bot, manifests.Bot)}
		if one, valid := parseUpdate(annotations[name]); valid && isUnderWay(bot, one) {
			u.running[client.ObjectKeyFromObject(bot)] = one
		}
	}
}

// isUnderWay reports whether a RoseyBot has not been ready since its update began: one that was ready in between has
// another problem now.
func isUnderWay(bot *v1alpha1.RoseyBot, one update) bool {
	ready := meta.FindStatusCondition(bot.Status.Conditions, v1alpha1.ConditionReady)
	return ready != nil && ready.Status != metav1.ConditionTrue &&
		ready.LastTransitionTime.Time.Before(one.began.Add(maxWriteDelay))
}
