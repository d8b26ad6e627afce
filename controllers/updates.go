package controllers

import (
	"fmt"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"rosey.dev/rosey/api/v1alpha1"
	"rosey.dev/rosey/controllers/manifests"
)

// AutomaticUpdates are the settings of updates under updatePolicy Automatic.
type AutomaticUpdates struct {
	// MaxConcurrent is how many RoseyBots are updated at a time. It is at least 1.
	MaxConcurrent int
	// Deadline is how long the update of a RoseyBot may take that was ready before. It is more than 0.
	Deadline time.Duration
}

// DefaultAutomaticUpdates are the settings of New.
var DefaultAutomaticUpdates = AutomaticUpdates{MaxConcurrent: 1, Deadline: 10 * time.Minute}

// updates bounds how many RoseyBots with updatePolicy Automatic change at a time because the operator is newer: an
// image that does not work must not take all of them out of their channels. It is safe for concurrent use.
//
// An update is written to the status before it is carried out, so that an operator that is restarted knows it, whatever
// happened to the objects or the spec in between. It ends when the RoseyBot is ready with it, when the image is another
// one, or when the RoseyBot is deleted. Suspending or editing an ill RoseyBot does not end it: then the next one would
// get the image that has failed.
type updates struct {
	settings AutomaticUpdates

	mu      sync.Mutex
	running map[types.NamespacedName]runningUpdate
	waiting map[types.NamespacedName]time.Time // since when
}

// runningUpdate is an update that has begun, of the RoseyBot with a UID.
type runningUpdate struct {
	bot types.UID
	v1alpha1.UpdateStatus
}

func newUpdates(settings AutomaticUpdates) *updates {
	return &updates{
		settings: settings,
		running:  map[types.NamespacedName]runningUpdate{}, waiting: map[types.NamespacedName]time.Time{},
	}
}

// SetAutomaticUpdates changes the settings of automatic updates. It must be called before SetupWithManager.
func (r *Reconciler) SetAutomaticUpdates(settings AutomaticUpdates) { r.updates = newUpdates(settings) }

// pinned is what is written, and what is not yet although the operator would build it from the same spec.
type pinned struct {
	desired []manifests.Desired
	updates []string                // what the operator would change
	objects []v1alpha1.PinnedObject // what runs instead
	waits   string                  // what an automatic update waits for
}

// pin decides about what differs only because the operator is newer: by the RoseyBot's updatePolicy, it is left as it
// is or written when it is this RoseyBot's turn and the status says so.
func (r *Reconciler) pin(bot *v1alpha1.RoseyBot, built []manifests.Desired, observed observed) pinned {
	found := manifests.FindUpdate(bot, built, observed.Observed)
	image := manifests.Image(bot, r.Params)
	if len(found.Changes) == 0 || bot.Spec.UpdatePolicy != v1alpha1.UpdateAutomatic {
		r.updates.stopWaiting(bot, image)
		return pinned{found.Pinned, found.Changes, found.Status, ""}
	}
	update, waits := r.updates.begin(bot, image, r.now())
	if waits == "" && isRecorded(bot, update) {
		return pinned{desired: found.Built}
	}
	return pinned{found.Pinned, found.Changes, found.Status, waits}
}

func isReady(bot *v1alpha1.RoseyBot) bool {
	return meta.IsStatusConditionTrue(bot.Status.Conditions, v1alpha1.ConditionReady)
}

// isWorking reports whether a condition Ready says that the bot is in its channel. Ready is also True of a RoseyBot
// that is off, and then nobody knows whether it would work.
func isWorking(ready *metav1.Condition) bool {
	return ready != nil && ready.Status == metav1.ConditionTrue && !hasSeverity(ready.Reason, requested)
}

// load adds the updates that an earlier operator began.
func (u *updates) load(bots []v1alpha1.RoseyBot, params manifests.Params, now time.Time) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for i := range bots {
		bot := &bots[i]
		update := bot.Status.Update
		if update == nil || !bot.DeletionTimestamp.IsZero() ||
			update.Image != manifests.Image(bot, params) && u.isLate(*update, now) {
			continue
		}
		u.running[client.ObjectKeyFromObject(bot)] = runningUpdate{bot.UID, *update}
	}
}

// begin begins the update of a RoseyBot to an image, unless it has begun already, or returns what it has to wait for.
// One that is being updated, or whose update has failed, does not wait: it may be out of its channel already.
func (u *updates) begin(
	bot *v1alpha1.RoseyBot, image string, now time.Time,
) (update v1alpha1.UpdateStatus, waits string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	key := client.ObjectKeyFromObject(bot)
	before, begun := u.find(bot)
	if begun && before.Image == image {
		delete(u.waiting, key)
		return before.UpdateStatus, ""
	}
	if !begun && bot.Status.Update == nil {
		if _, waiting := u.waiting[key]; !waiting {
			u.waiting[key] = now
		}
		if waits = u.reasonToWait(bot, now); waits != "" {
			return v1alpha1.UpdateStatus{}, waits
		}
	}
	ready := meta.FindStatusCondition(bot.Status.Conditions, v1alpha1.ConditionReady)
	update = v1alpha1.UpdateStatus{
		Image: image, StartTime: metav1.NewTime(now.Truncate(time.Second)),
		WasReady: isWorking(ready) || begun && before.WasReady && !u.isLate(before.UpdateStatus, now),
	}
	delete(u.waiting, key)
	u.running[key] = runningUpdate{bot.UID, update}
	return update, ""
}

// reasonToWait returns what a RoseyBot has to wait for until it may be updated, or "".
func (u *updates) reasonToWait(bot *v1alpha1.RoseyBot, now time.Time) string {
	count := 0
	for _, update := range u.running {
		if !u.isLate(update.UpdateStatus, now) {
			count++
		}
	}
	failed := u.failed(now)
	name, here := failed[bot.Namespace]
	switch {
	case here:
		return fmt.Sprintf("no RoseyBot of this namespace is updated, because RoseyBot %s was ready before its update and "+
			"has not become ready again within %s", name, u.settings.Deadline)
	case len(failed) >= failedNamespaces:
		return fmt.Sprintf("no RoseyBot is updated, because RoseyBots of %d or more other namespaces were ready before "+
			"their updates and have not become ready again within %s", failedNamespaces, u.settings.Deadline)
	case count >= u.settings.MaxConcurrent:
		return fmt.Sprintf("as many RoseyBots as may change at a time are being updated: %d", u.settings.MaxConcurrent)
	case u.mayRecover(bot, now):
		return fmt.Sprintf("it is updated when it is ready again, or has not been ready for %s", u.settings.Deadline)
	}
	return ""
}

// mayRecover reports whether a RoseyBot is not ready, but not for long: for example because the database service that
// it shares restarts. If it were updated now, nobody could say later whether the update has failed.
func (u *updates) mayRecover(bot *v1alpha1.RoseyBot, now time.Time) bool {
	ready := meta.FindStatusCondition(bot.Status.Conditions, v1alpha1.ConditionReady)
	return ready != nil && ready.Status != metav1.ConditionTrue &&
		now.Sub(ready.LastTransitionTime.Time) <= u.settings.Deadline &&
		now.Sub(u.waiting[client.ObjectKeyFromObject(bot)]) <= u.settings.Deadline // it may change between False and Unknown
}

// failed returns the first RoseyBot of each namespace whose update has failed.
func (u *updates) failed(now time.Time) map[string]string {
	names := map[string]string{}
	for bot, update := range u.running {
		first, some := names[bot.Namespace]
		if update.WasReady && u.isLate(update.UpdateStatus, now) && (!some || bot.Name < first) {
			names[bot.Namespace] = bot.Name
		}
	}
	return names
}

// failedNamespaces is in how many namespaces an update has to fail until no RoseyBot of any namespace is updated. With
// one, the users of a namespace could prevent the updates of all others.
const failedNamespaces = 2

// find returns the update of a RoseyBot. The caller holds the lock.
func (u *updates) find(bot *v1alpha1.RoseyBot) (update runningUpdate, found bool) {
	update, found = u.running[client.ObjectKeyFromObject(bot)]
	return update, found && update.bot == bot.UID
}

// current returns the update of a RoseyBot, or nil, and whether it has failed.
func (u *updates) current(bot *v1alpha1.RoseyBot, now time.Time) (update *v1alpha1.UpdateStatus, failed bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	found, begun := u.find(bot)
	if !begun {
		return nil, false
	}
	return &found.UpdateStatus, found.WasReady && u.isLate(found.UpdateStatus, now)
}

// isRecorded reports whether the status of a RoseyBot has an update.
func isRecorded(bot *v1alpha1.RoseyBot, update v1alpha1.UpdateStatus) bool {
	recorded := bot.Status.Update
	return recorded != nil && recorded.Image == update.Image && recorded.WasReady == update.WasReady &&
		recorded.StartTime.Equal(&update.StartTime)
}

// isLate reports whether an update takes too long. One that began in the future, by a clock that was wrong, is late
// too: it must not prevent others until then.
func (u *updates) isLate(update v1alpha1.UpdateStatus, now time.Time) bool {
	return now.Sub(update.StartTime.Time).Abs() > u.settings.Deadline
}

// stopWaiting records that a RoseyBot waits for no update, and ends its update if that was to another image.
func (u *updates) stopWaiting(bot *v1alpha1.RoseyBot, image string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	key := client.ObjectKeyFromObject(bot)
	delete(u.waiting, key)
	if update, begun := u.find(bot); !begun || update.Image != image {
		delete(u.running, key)
	}
}

// forget ends the update of a RoseyBot, if there is one. It may have been deleted.
func (u *updates) forget(bot types.NamespacedName) {
	u.mu.Lock()
	defer u.mu.Unlock()
	delete(u.running, bot)
	delete(u.waiting, bot)
}

// poll returns the time after which a reconcile is repeated, which is at most interval, or 0 for never. Of many
// RoseyBots that wait for their update, one tries again soon after another has ended.
func (u *updates) poll(bot *v1alpha1.RoseyBot, interval time.Duration, now time.Time) time.Duration {
	u.mu.Lock()
	defer u.mu.Unlock()
	longest := interval
	_, waiting := u.waiting[client.ObjectKeyFromObject(bot)]
	switch update, begun := u.find(bot); {
	case waiting:
		longest = max(minPollInterval, time.Duration(len(u.waiting))*50*time.Millisecond)
	case begun && !isRecorded(bot, update.UpdateStatus):
		longest = cacheInterval
	case begun && !u.isLate(update.UpdateStatus, now):
		longest = maxPollInterval // also of a RoseyBot that is off: when it is late, the status says so
	}
	if interval > 0 && interval < longest {
		return interval
	}
	return longest
}
