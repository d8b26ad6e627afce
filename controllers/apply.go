package controllers

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"rosey.dev/rosey/api/v1alpha1"
	"rosey.dev/rosey/controllers/manifests"
)

// applied is the result of writing the desired objects.
type applied struct {
	problems map[manifests.Component]*problem // the first problem of each component that has one
	written  map[manifests.Key]bool           // objects that were written, so that the observed ones are out of date
	updates  []string                         // what a newer operator would change, and is pinned until the spec changes
	err      error                            // errors for which the reconcile is repeated
}

// problem is the reason why an object is not as desired.
type problem struct {
	reason, message string
	// usable is set if the object exists and belongs to the RoseyBot, so that objects that refer to it can be written.
	usable bool
	err    error
}

// apply writes the desired objects that differ from the live ones, and deletes objects that are no longer desired. A
// problem with the objects of one component does not keep those of the other from being written.
func (r *Reconciler) apply(ctx context.Context, bot *v1alpha1.RoseyBot, observed observed) applied {
	result := applied{problems: map[manifests.Component]*problem{}, written: map[manifests.Key]bool{}}
	if found := checkSharedOwner(bot, observed.Owner); found != nil && manifests.Replicas(bot, manifests.Bot) > 0 {
		// The configuration cannot be built without the owner's spec.nats. Pods that run are left alone.
		result.problems[manifests.Bot] = found
		return result
	}
	set, err := r.Build(bot, r.Params, observed.Observed)
	if err != nil {
		result.err = err
		return result
	}
	set, result.updates = manifests.Pin(bot, set, observed.Observed)
	ensureAll := func(objects []client.Object) *problem {
		found, written := r.ensureAll(ctx, bot, observed, objects)
		for _, key := range written {
			result.written[key] = true
		}
		return found
	}
	shared := ensureAll(set.Shared)
	for component, objects := range set.Components() {
		found := shared
		if shared == nil || shared.usable {
			found = cmp.Or(ensureAll(objects), shared)
		}
		if found = cmp.Or(found, waitForClaim(bot, component, observed)); found != nil {
			result.problems[component] = found
			result.err = errors.Join(result.err, found.err)
		}
	}
	if len(result.updates) == 0 { // pinned templates may refer to objects that a newer operator does not build
		result.err = errors.Join(result.err, r.prune(ctx, bot, observed, set))
	}
	return result
}

// waitForClaim returns a problem while the pods of a component are not started because a pod of the other component
// still mounts the claim.
func waitForClaim(bot *v1alpha1.RoseyBot, component manifests.Component, observed observed) *problem {
	holder := manifests.ClaimHolder(bot, component, observed.Observed)
	if holder == "" {
		return nil
	}
	message := fmt.Sprintf("the %s starts when pod %s is gone, which still mounts the claim",
		displayName[component], holder)
	return &problem{reason: v1alpha1.ReasonProgressing, message: message, usable: true}
}

// checkSharedOwner returns a problem if the RoseyBot that database.sharedFrom names cannot share its database service.
func checkSharedOwner(bot, owner *v1alpha1.RoseyBot) *problem {
	name := "RoseyBot " + manifests.SharedFrom(bot)
	switch {
	case manifests.SharedFrom(bot) == "":
		return nil
	case owner == nil:
		return &problem{
			reason: v1alpha1.ReasonSharedOwnerMissing, message: name + " does not exist, but database.sharedFrom names it",
		}
	case !manifests.HasService(owner):
		return &problem{
			reason: v1alpha1.ReasonSharedOwnerUnusable, message: name + " has no database service of its own to share",
		}
	case manifests.Standby(bot) && ptr.Deref(manifests.NATS(owner, nil).JetStream, v1alpha1.JetStream{}).Mode ==
		v1alpha1.JetStreamNever:
		message := name + " has nats.jetStream.mode Never: expected another mode, or replicas of at most 1"
		return &problem{reason: v1alpha1.ReasonSharedOwnerUnusable, message: message}
	}
	return nil
}

// ensureAll ensures objects in their order, up to the first one that cannot be used. It returns the first problem and
// the keys of the objects that it wrote.
func (r *Reconciler) ensureAll(
	ctx context.Context, bot *v1alpha1.RoseyBot, observed observed, desired []client.Object,
) (first *problem, written []manifests.Key) {
	for _, object := range desired {
		wrote, found := r.ensure(ctx, bot, observed, object)
		if wrote {
			written = append(written, manifests.KeyOf(object))
		}
		first = cmp.Or(first, found)
		if found != nil && !found.usable {
			break
		}
	}
	return first, written
}

// ensure makes one live object as desired, and reports whether it wrote to the API server:
//
//   - If the object does not exist, it is created by POST, which never overwrites anything.
//   - If it exists and does not belong to the RoseyBot, it is left alone and reported as a problem.
//   - If it is as desired, nothing is sent.
//   - Otherwise it is written by server-side apply.
func (r *Reconciler) ensure(
	ctx context.Context, bot *v1alpha1.RoseyBot, observed observed, desired client.Object,
) (written bool, _ *problem) {
	live := observed.Objects[manifests.KeyOf(desired)]
	if live == nil {
		err := r.create(ctx, desired)
		if !apierrors.IsAlreadyExists(err) {
			return err == nil, writeProblem(desired, err, false)
		}
		if live, err = r.readLive(ctx, desired); err != nil {
			return false, writeProblem(desired, err, false)
		}
	}
	if refused := checkOwnership(bot, live); refused != nil {
		return false, refused
	}
	written, err := r.update(ctx, desired, live)
	return written, writeProblem(desired, err, true)
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
	return &problem{reason: v1alpha1.ReasonWriteFailed, message: err.Error(), usable: usable, err: err}
}

// checkOwnership returns a problem if a live object must not be changed, because it is being deleted or does not belong
// to the RoseyBot.
func checkOwnership(bot *v1alpha1.RoseyBot, live client.Object) *problem {
	name, owner := manifests.KeyOf(live).String(), metav1.GetControllerOf(live)
	ofDeleted := owner != nil && owner.Kind == v1alpha1.RoseyBotKind && owner.Name == bot.Name && owner.UID != bot.UID
	switch {
	case ofDeleted || live.GetDeletionTimestamp() != nil:
		message := name + " is being deleted; it will be created again afterwards"
		return &problem{reason: v1alpha1.ReasonProgressing, message: message}
	case !belongsTo(bot, live):
		message := name + " exists and does not belong to this RoseyBot: delete it, or give the RoseyBot another name"
		return &problem{reason: v1alpha1.ReasonForeignObject, message: message}
	}
	return nil
}

// belongsTo reports whether a live object belongs to a RoseyBot. That is decided by the owner's UID, which is unique. A
// claim that has to outlive its RoseyBot has no owner: it is recognized by its labels.
func belongsTo(bot *v1alpha1.RoseyBot, live client.Object) bool {
	if _, isClaim := live.(*corev1.PersistentVolumeClaim); isClaim && metav1.GetControllerOf(live) == nil {
		labels := live.GetLabels()
		return labels[manifests.LabelManagedBy] == manifests.ManagedBy && labels[manifests.LabelRoseyBot] == bot.Name
	}
	return metav1.IsControlledBy(live, bot)
}

// prune deletes the objects that a RoseyBot owns and that are no longer desired. Claims are never deleted here: the
// database must not be lost when the mode changes.
func (r *Reconciler) prune(
	ctx context.Context, bot *v1alpha1.RoseyBot, observed observed, set manifests.Set,
) (errs error) {
	desired := map[manifests.Key]bool{}
	for _, object := range set.All() {
		desired[manifests.KeyOf(object)] = true
	}
	for key, object := range observed.Objects {
		_, isClaim := object.(*corev1.PersistentVolumeClaim)
		if isClaim || desired[key] || !metav1.IsControlledBy(object, bot) || object.GetDeletionTimestamp() != nil {
			continue
		}
		// Without the UID, a new object of the same name that belongs to somebody else could be deleted.
		err := r.Client.Delete(ctx, object, client.Preconditions{UID: new(object.GetUID())},
			client.PropagationPolicy(metav1.DeletePropagationBackground))
		if client.IgnoreNotFound(err) != nil {
			errs = errors.Join(errs, fmt.Errorf("deleting %s: %w", key, err))
		}
	}
	return errs
}
