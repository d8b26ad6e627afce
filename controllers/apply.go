package controllers

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"rosey.dev/rosey/api/v1alpha1"
	"rosey.dev/rosey/controllers/manifests"
)

const (
	// fieldOwner is the field manager of every field that the operator writes.
	fieldOwner = client.FieldOwner("rosey-operator")
	// scaleOwner is the field manager of the number of replicas until an autoscaler sets it.
	scaleOwner = client.FieldOwner("rosey-operator-scale")
	// desiredHashAnnotation is a hash of the object as it was last written. It changes when a field is no longer
	// desired, which a comparison of the desired fields with the live object cannot see.
	desiredHashAnnotation = "rosey.dev/desired-hash"
	// maxCacheLag is how long an object that was created may be absent from the cache until it is created again. That it
	// was deleted meanwhile need not start a reconcile.
	maxCacheLag = 5 * time.Second
)

// applied is the result of writing the desired objects.
type applied struct {
	problems map[manifests.Component]*problem // of the objects of a component, or of all under ""
	written  map[manifests.Key]bool           // objects that were changed, so that the observed ones are out of date
	sent     bool                             // whether there were requests
	forced   []forcedField                    // fields that stay as somebody else sets them
	updates  []string                         // what a newer operator would change, and is pinned
	// updateWaits is what an automatic update waits for, or "".
	updateWaits string
	pinned      []v1alpha1.PinnedObject // what runs instead
	err         error                   // errors for which the reconcile is repeated
	// differs is set if an object was not as desired, or was not found in the cache.
	differs bool
}

// problem is the reason why an object is not as desired.
type problem struct {
	reason, message string
	// usable is set if the object exists and belongs to the RoseyBot, so that objects that refer to it can be written.
	usable bool
	err    error
}

// add adds a problem of a component. The first one is kept, unless a later one prevents more.
func (a *applied) add(component manifests.Component, found *problem) {
	if found == nil {
		return
	}
	a.err = errors.Join(a.err, found.err)
	if first := a.problems[component]; first == nil || first.usable && !found.usable {
		a.problems[component] = found
	}
}

func (a *applied) countRequests(some bool) { a.sent = a.sent || some }

// problem returns the problem that affects a component most, or nil.
func (a *applied) problem(component manifests.Component) *problem {
	if shared := a.problems[""]; shared != nil && !shared.usable {
		return shared
	}
	return cmp.Or(a.problems[component], a.problems[""])
}

// apply makes the live objects as desired. It does nothing if they were when it last saw what it sees now: a reconcile
// that is repeated only to request the reports of pods would otherwise spend most of its time on comparing.
func (r *Reconciler) apply(ctx context.Context, bot *v1alpha1.RoseyBot, observed observed) applied {
	memory, seen := r.memories.of(bot), fingerprint(bot, observed)
	if memory.asDesired == seen {
		return applied{}
	}
	result := r.applyDesired(ctx, bot, observed)
	memory.asDesired = ""
	if result.isComplete() && len(memory.forced) == 0 {
		memory.asDesired = seen
	}
	return result
}

// isComplete reports whether nothing was left to do, and nothing has to be said about the objects.
func (a *applied) isComplete() bool {
	return !a.differs && a.err == nil && len(a.problems)+len(a.forced)+len(a.updates)+len(a.pinned) == 0
}

// applyDesired writes the desired objects that differ from the live ones, and deletes objects that are no longer
// desired. If an object of one component cannot be used, the ones after it are not written, but those of the others
// are.
func (r *Reconciler) applyDesired(ctx context.Context, bot *v1alpha1.RoseyBot, observed observed) applied {
	result := applied{
		problems: map[manifests.Component]*problem{}, written: map[manifests.Key]bool{}, pinned: bot.Status.Pinned,
	}
	if isTooLarge(bot) {
		result.add("", tooLarge("the RoseyBot", maxBotMemory, "make its lists and texts shorter"))
		return result
	}
	if found := checkSharedOwner(bot, observed); found != nil {
		// Pods that run are left alone: the configuration needs the owner's spec.nats. What is to stop does not.
		for _, component := range manifests.OptionalComponents(bot) {
			if manifests.Replicas(bot, component) > 0 {
				result.add(component, found)
			}
		}
		if manifests.Replicas(bot, manifests.Bot) > 0 {
			result.add(manifests.Bot, found)
			r.prune(ctx, bot, observed, func(live client.Object) bool { return manifests.IsWanted(bot, live) }, &result)
			return result
		}
	}
	desired, err := r.Build(bot, r.Params, observed.Observed)
	if err != nil {
		result.err = err
		return result
	}
	decided := r.pin(bot, desired, observed)
	desired, result.updates, result.updateWaits = decided.desired, decided.updates, decided.waits
	result.pinned = decided.objects
	desired = r.keepLive(ctx, bot, desired, observed, &result)
	r.write(ctx, bot, observed, desired, &result)
	for _, component := range manifests.Components(bot) {
		result.add(component, waitForClaim(bot, component, observed))
		result.add(component, waitForPods(bot, component, desired))
	}
	isDesired := map[manifests.Key]bool{}
	for _, next := range desired {
		isDesired[manifests.KeyOf(next.Object)] = true
	}
	r.prune(ctx, bot, observed, func(live client.Object) bool {
		return isDesired[manifests.KeyOf(live)] || len(result.updates) > 0 && manifests.MayBeMounted(bot, live)
	}, &result)
	result.countRequests(result.err != nil)
	return result
}

// write writes the desired objects that differ from the live ones, and records the outcome in the result.
func (r *Reconciler) write(
	ctx context.Context, bot *v1alpha1.RoseyBot, observed observed, desired []manifests.Desired, result *applied,
) {
	for i := range desired { // what follows a claim may change when the claim is created, or not in the cache yet
		next := desired[i]
		if earlier := result.problem(next.Component); earlier != nil && !earlier.usable {
			continue
		}
		done, found := r.ensure(ctx, bot, observed, next.Object)
		result.differs = result.differs || done != (outcome{}) || found != nil
		if done.forced != "" {
			result.forced = append(result.forced, forcedField{next.Component, done.forced})
		}
		result.written[manifests.KeyOf(next.Object)] = done.changed
		isRefused := found != nil && observed.Objects[manifests.KeyOf(next.Object)] == nil
		result.countRequests(done.sent || isRefused)
		result.add(next.Component, found)
		if claim, isClaim := done.uncached.(*corev1.PersistentVolumeClaim); isClaim {
			observed.Objects[manifests.KeyOf(claim)] = claim
			result.err = errors.Join(result.err, manifests.UpdateChannelList(bot, desired, observed.Observed))
		}
	}
}

// outcome is what was done about an object.
type outcome struct {
	sent    bool   // it was written
	changed bool   // its spec was changed, so that the observed status is about an older one
	forced  string // says who sets a field again whenever it is written
	// uncached is the object if it exists, belongs to the RoseyBot, and is not in the cache: as it is, or as desired with
	// the time of its creation. Otherwise it is nil.
	uncached client.Object
}

// ensure makes one live object as desired:
//
//   - If the object does not exist, it is created by POST, which never overwrites anything.
//   - If it exists and does not belong to the RoseyBot, it is left alone and reported as a problem.
//   - If it is as desired, nothing is sent.
//   - If somebody else sets a field again whenever it is written, nothing is sent either.
//   - Otherwise it is written by server-side apply.
func (r *Reconciler) ensure(
	ctx context.Context, bot *v1alpha1.RoseyBot, observed observed, desired client.Object,
) (outcome, *problem) {
	key, memory, wanted := manifests.KeyOf(desired), r.memories.of(bot), withHash(desired)
	if !fits(desired, maxObjectMemory) { // it could not be compared, nor replaced when it gets smaller
		return outcome{}, tooLarge(key.String(), maxObjectMemory, "make the lists and texts of the RoseyBot shorter")
	}
	live := observed.Objects[key]
	isUncached := live == nil
	if isUncached {
		if created, isNew := memory.created[key]; isNew {
			desired.SetCreationTimestamp(created.timestamp)
			return outcome{changed: true, uncached: desired}, nil
		}
		err := r.Client.Create(ctx, wanted, fieldOwner)
		if err == nil {
			desired.SetCreationTimestamp(wanted.GetCreationTimestamp())
			memory.addCreated(key, createdObject{at: r.now(), timestamp: wanted.GetCreationTimestamp()})
			return outcome{sent: true, changed: true, uncached: desired}, nil
		}
		if !apierrors.IsAlreadyExists(err) {
			return outcome{}, writeProblem(desired, err, false)
		}
		if live, err = r.readLive(ctx, desired); err != nil {
			return outcome{}, writeProblem(desired, err, false)
		}
	}
	if deleted, refused := r.refuse(ctx, bot, live); refused != nil {
		return outcome{sent: deleted, changed: deleted}, refused
	}
	content, err := toContent(wanted)
	if err != nil {
		return outcome{}, writeProblem(desired, err, false)
	}
	done, found := r.correct(ctx, bot, live, desired, content)
	if isUncached {
		done.uncached = live
	}
	return done, found
}

// correct writes a live object that belongs to the RoseyBot if it differs from what is to be written.
func (r *Reconciler) correct(
	ctx context.Context, bot *v1alpha1.RoseyBot, live, desired client.Object, content *unstructured.Unstructured,
) (outcome, *problem) {
	differs, err := r.differences(live, content)
	key, forced, now := manifests.KeyOf(desired), r.memories.of(bot).forced, r.now()
	known := forced[key]
	if err != nil || differs.Empty() {
		if now.Sub(known.at) >= repairInterval { // else the next write may show that the last one did not last
			delete(forced, key)
		}
		return outcome{}, writeProblem(desired, err, true)
	}
	if message := known.messageIfPaused(content, differs, now); message != "" {
		return outcome{forced: message}, nil
	}
	return r.overwrite(ctx, bot, live, desired, forcedWrite{wanted: content, differs: differs})
}

// overwrite writes a live object that differs from what is to be written.
func (r *Reconciler) overwrite(
	ctx context.Context, bot *v1alpha1.RoseyBot, live, desired client.Object, write forcedWrite,
) (outcome, *problem) {
	done, written, keeps := outcome{sent: true}, write.wanted.DeepCopy(), keepsPods(live, desired, write.differs)
	if write.differs.Has(pausedField) {
		_ = unstructured.SetNestedField(written.Object, false, "spec", "paused")
	}
	before, err := r.update(ctx, desired, live, written)
	if err == nil && before != nil {
		write.before, write.after = before, written
		done.forced, err = r.recordWrite(bot, write)
	}
	// A write that changes no spec, such as one that a policy undoes, rolls nothing out.
	done.changed = err != nil || written.GetGeneration() != live.GetGeneration() && !keeps
	return done, writeProblem(desired, explainClaim(bot, desired, live, err), true)
}

func writeProblem(object client.Object, err error, usable bool) *problem {
	name := manifests.KeyOf(object).String()
	switch {
	case err == nil:
		return nil
	case apierrors.IsConflict(err) || apierrors.IsNotFound(err):
		// The cache was out of date. The change that it did not contain yet starts the next reconcile.
		return &problem{reason: v1alpha1.ReasonProgressing, message: name + " has just changed", usable: usable}
	}
	err = fmt.Errorf("%s: %w", name, err)
	if _, isPolicy := object.(*networkingv1.NetworkPolicy); isPolicy && apierrors.IsInvalid(err) {
		// The CRD cannot check addresses. It is no error of the operator, and repeating the write does not mend it.
		return &problem{reason: v1alpha1.ReasonWriteFailed, usable: usable, message: err.Error() +
			": expected other values in networkPolicy.egress, web.allowFrom or the egress of plugins of the RoseyBot"}
	}
	return &problem{reason: v1alpha1.ReasonWriteFailed, message: err.Error(), usable: usable, err: err}
}

// checkOwnership returns a problem if a live object must not be changed, because it is being deleted or does not belong
// to the RoseyBot.
func checkOwnership(bot *v1alpha1.RoseyBot, live client.Object, now time.Time) *problem {
	name, owner := manifests.KeyOf(live).String(), metav1.GetControllerOf(live)
	ofDeleted := owner != nil && owner.Kind == v1alpha1.RoseyBotKind && owner.Name == bot.Name && owner.UID != bot.UID
	switch {
	case live.GetDeletionTimestamp() != nil:
		return deletionProblem(live, now, "; it will be created again afterwards")
	case ofDeleted:
		message := name + " is being deleted; it will be created again afterwards"
		return &problem{reason: v1alpha1.ReasonProgressing, message: message}
	case !belongsTo(bot, live):
		return &problem{reason: v1alpha1.ReasonForeignObject, message: foreignMessage(bot, live)}
	}
	return nil
}

// belongsTo reports whether a live object belongs to a RoseyBot. That is decided by the owner's UID, which is unique. A
// claim that has to outlive its RoseyBot has no owner: it is recognized by its labels alone, as is one
// that a backup tool has restored.
func belongsTo(bot *v1alpha1.RoseyBot, live client.Object) bool {
	if metav1.IsControlledBy(live, bot) || isOrphan(bot, live) {
		return true
	}
	_, isClaim := live.(*corev1.PersistentVolumeClaim)
	return isClaim && metav1.GetControllerOf(live) == nil && isLabelled(bot, live)
}

// isOrphan reports whether an object was left by an earlier RoseyBot of the same name that was deleted with
// `--cascade=orphan`: it has no controller, the RoseyBot's labels, and the hash that only the operator writes. Labels
// alone prove nothing about an object without rows: users copy manifests.
func isOrphan(bot *v1alpha1.RoseyBot, live client.Object) bool {
	return metav1.GetControllerOf(live) == nil && isLabelled(bot, live) &&
		live.GetAnnotations()[desiredHashAnnotation] != ""
}

func isLabelled(bot *v1alpha1.RoseyBot, live client.Object) bool {
	labels := live.GetLabels()
	return labels[manifests.LabelManagedBy] == manifests.ManagedBy && labels[manifests.LabelRoseyBot] == bot.Name
}

// deletionProblem returns the problem of a live object that is being deleted. Finalizers may keep it for ever, and what
// a claim holds is lost when the last pod that uses it ends, however long that takes.
func deletionProblem(live client.Object, now time.Time, consequence string) *problem {
	found := &problem{reason: v1alpha1.ReasonProgressing, message: manifests.KeyOf(live).String() + " is being deleted"}
	if len(live.GetFinalizers()) == 0 {
		found.message += consequence
		return found
	}
	found.message += ", which waits for " + strings.Join(live.GetFinalizers(), ", ")
	if claim, isClaim := live.(*corev1.PersistentVolumeClaim); isClaim && claim.Spec.VolumeName != "" {
		found.reason = v1alpha1.ReasonDeletionWaits
		consequence = ": what it holds is lost when no pod uses it any more, so make a backup before; it will be created " +
			"again, empty"
	} else if now.Sub(live.GetDeletionTimestamp().Time) >= stallAfter {
		found.reason = v1alpha1.ReasonDeletionWaits
	}
	found.message += consequence
	return found
}

// prune deletes the objects that a RoseyBot owns, or that an earlier one left, and that it is not to keep. Claims are
// never deleted here: the database must not be lost when the mode changes.
func (r *Reconciler) prune(
	ctx context.Context, bot *v1alpha1.RoseyBot, observed observed, keep func(live client.Object) bool, result *applied,
) {
	for _, object := range observed.Objects {
		_, isClaim := object.(*corev1.PersistentVolumeClaim)
		if isClaim || keep(object) || !belongsTo(bot, object) || limitsPods(bot, object, observed) {
			continue // also a policy: the last of the pods that it limits starts the next reconcile
		}
		if object.GetDeletionTimestamp() != nil {
			if _, isDeployment := object.(*appsv1.Deployment); isDeployment { // its pods run on
				left := deletionProblem(object, r.now(), "")
				left.usable = true
				result.add("", left)
			}
			continue
		}
		result.differs = true
		// Without the UID, this could delete a new object of the same name that does not belong to the RoseyBot.
		err := r.Client.Delete(ctx, object, client.Preconditions{UID: new(object.GetUID())},
			client.PropagationPolicy(metav1.DeletePropagationBackground))
		if client.IgnoreNotFound(err) != nil {
			err = fmt.Errorf("it is not needed any more, and deleting it fails: %w", err)
			result.add("", writeProblem(object, err, true))
		}
	}
}

// limitsPods reports whether an object is the NetworkPolicy of a component that the spec does not ask for and that has
// pods left. Without the policy they could connect anywhere, and everybody could connect to them.
func limitsPods(bot *v1alpha1.RoseyBot, live client.Object, observed observed) bool {
	_, isPolicy := live.(*networkingv1.NetworkPolicy)
	component := manifests.Component(live.GetLabels()[manifests.LabelComponent])
	deployment := observed.Objects[manifests.Key{Kind: "Deployment", Name: live.GetName()}]
	return isPolicy && !slices.Contains(manifests.Components(bot), component) &&
		(deployment != nil || len(observed.podsWhere(component, not(podEnded))) > 0)
}

// keepLive returns the desired objects with the bot's as they are in the cluster while the bot must not change, and
// adds the reason to the result.
func (r *Reconciler) keepLive(
	ctx context.Context, bot *v1alpha1.RoseyBot, desired []manifests.Desired, observed observed, result *applied,
) []manifests.Desired {
	if found := r.waitForService(ctx, bot, observed); found != nil {
		result.add(manifests.Bot, found) // so its Deployment stays as it is
		desired = manifests.KeepConfig(bot, manifests.Bot, desired, observed.Observed)
	}
	for _, component := range manifests.OptionalComponents(bot) {
		if result.problem(component) != nil { // it runs on, and may restart
			desired = manifests.KeepConfig(bot, component, desired, observed.Observed)
		}
	}
	desired, differs := manifests.KeepBotTemplate(bot, desired, observed.Observed,
		observed.countPods(manifests.Database).ReadyReplicas > 0)
	if differs {
		result.add(manifests.Bot, &problem{reason: v1alpha1.ReasonProgressing, usable: true, message: "the bots " +
			"are being replaced, and those that run are not replaced once more before the database service runs"})
	}
	return desired
}

// waitForPods returns a problem while a component is stopped because its pods of two templates must not run together.
func waitForPods(bot *v1alpha1.RoseyBot, component manifests.Component, desired []manifests.Desired) *problem {
	for _, next := range desired {
		workload, isDeployment := next.Object.(*appsv1.Deployment)
		if isDeployment && next.Component == component && manifests.StopsFirst(bot, component, workload) {
			message := fmt.Sprintf("the %s starts again when its pods are gone: it had several, and now only one may run",
				displayName(component))
			return &problem{reason: v1alpha1.ReasonProgressing, message: message, usable: true}
		}
	}
	return nil
}

// waitForClaim returns a problem while the pods of a component are not started because a pod that they must not run
// beside still mounts the claim.
func waitForClaim(bot *v1alpha1.RoseyBot, component manifests.Component, observed observed) *problem {
	pod := manifests.BlockingPod(bot, component, observed.Observed)
	if pod == "" || manifests.Replicas(bot, component) == 0 {
		return nil
	}
	message := fmt.Sprintf("the %s starts as soon as pod %s, which mounts the claim, is deleted",
		displayName(component), pod)
	return &problem{reason: v1alpha1.ReasonProgressing, message: message, usable: true}
}
