package controllers

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"rosey.dev/rosey/api/v1alpha1"
	"rosey.dev/rosey/controllers/manifests"
)

// outcome is what became of the desired objects.
type outcome struct {
	problems map[manifests.Component]*problem // the first of each component that has one
	update   string                           // what is held back until the spec changes, in words
	err      error                            // what trying again may mend
}

// problem says why an object is not as desired.
type problem struct {
	reason, message string
	usable          bool // the object is there and ours, so that what needs it can be written all the same
	err             error
}

// apply writes what differs from what is desired, of one component also where the other one cannot be written.
func (r *Reconciler) apply(ctx context.Context, bot *v1alpha1.RoseyBot, seen observed) outcome {
	if found := unshared(bot, seen.owner); found != nil && manifests.Replicas(bot, manifests.Bot) > 0 {
		// Without the other one's NATS there is no configuration to write. What runs goes on.
		return outcome{problems: map[manifests.Component]*problem{manifests.Bot: found}}
	}
	params := r.Params
	params.Owner = seen.owner
	set, err := r.Build(bot, params)
	if err != nil {
		return outcome{err: err}
	}
	result := outcome{problems: settle(bot, seen, set), update: hold(bot, seen, set)}
	shared := r.ensureAll(ctx, bot, seen, set.Shared)
	for component, objects := range set.Components() {
		found := shared
		if shared == nil || shared.usable {
			found = cmp.Or(r.ensureAll(ctx, bot, seen, objects), shared)
		}
		if found != nil {
			result.problems[component] = found
			result.err = errors.Join(result.err, found.err)
		}
	}
	if result.update == "" { // what is held may need what a newer operator has no use for
		result.err = errors.Join(result.err, r.prune(ctx, bot, seen, set))
	}
	return result
}

// ensureAll writes objects in their order, up to the first that cannot be used. It returns the first problem.
func (r *Reconciler) ensureAll(
	ctx context.Context, bot *v1alpha1.RoseyBot, seen observed, desired []client.Object,
) *problem {
	var found *problem
	for _, object := range desired {
		now := r.ensure(ctx, bot, seen, object)
		found = cmp.Or(found, now)
		if now != nil && !now.usable {
			break
		}
	}
	return found
}

// ensure makes one object as desired:
//
//   - absent: created by POST, which never overwrites anything
//   - there and not ours: refused, never adopted
//   - there, ours and as desired: nothing is sent
//   - there, ours and different: server-side apply
func (r *Reconciler) ensure(
	ctx context.Context, bot *v1alpha1.RoseyBot, seen observed, desired client.Object,
) *problem {
	live := seen.objects[keyOf(desired)]
	if live == nil {
		err := r.create(ctx, desired)
		if !apierrors.IsAlreadyExists(err) {
			return writeProblem(desired, err, false)
		}
		if live, err = r.readLive(ctx, desired); err != nil {
			return writeProblem(desired, err, false)
		}
	}
	if refused := refuse(bot, live); refused != nil {
		return refused
	}
	written, err := r.update(ctx, desired, live)
	if written {
		delete(seen.objects, keyOf(desired)) // what was seen is the past; the next pass sees what became of it
	}
	return writeProblem(desired, err, true)
}

func writeProblem(object client.Object, err error, usable bool) *problem {
	switch {
	case err == nil:
		return nil
	case apierrors.IsConflict(err) || apierrors.IsNotFound(err):
		// The cache was behind. The change that it did not know of starts the next pass.
		message := nameOf(object) + " changed meanwhile"
		return &problem{reason: v1alpha1.ReasonProgressing, message: message, usable: usable}
	}
	err = fmt.Errorf("%s: %w", nameOf(object), err)
	return &problem{reason: v1alpha1.ReasonWriteFailed, message: err.Error(), usable: usable, err: err}
}

// refuse returns why a live object must not be touched, or nil for one of ours.
func refuse(bot *v1alpha1.RoseyBot, live client.Object) *problem {
	owner := metav1.GetControllerOf(live)
	leftover := owner != nil && owner.Kind == v1alpha1.RoseyBotKind && owner.Name == bot.Name && owner.UID != bot.UID
	switch {
	case leftover || live.GetDeletionTimestamp() != nil:
		message := nameOf(live) + " is being deleted and will be made anew"
		return &problem{reason: v1alpha1.ReasonProgressing, message: message}
	case !ours(bot, live):
		message := " exists and does not belong to this RoseyBot: delete it, or give the RoseyBot another name"
		return &problem{reason: v1alpha1.ReasonForeignObject, message: nameOf(live) + message}
	}
	return nil
}

// ours goes by the owner's UID, which nobody can have by chance; for a claim that has no owner, so that it outlives
// its RoseyBot, by labels.
func ours(bot *v1alpha1.RoseyBot, live client.Object) bool {
	if _, isClaim := live.(*corev1.PersistentVolumeClaim); isClaim && metav1.GetControllerOf(live) == nil {
		labels := live.GetLabels()
		return labels[manifests.LabelManagedBy] == manifests.ManagedBy && labels[manifests.LabelRoseyBot] == bot.Name
	}
	return metav1.IsControlledBy(live, bot)
}

func nameOf(object client.Object) string {
	return object.GetObjectKind().GroupVersionKind().Kind + " " + object.GetName()
}

// prune deletes what the RoseyBot owns and no longer needs. Claims stay: rows go with their RoseyBot or not at all.
func (r *Reconciler) prune(ctx context.Context, bot *v1alpha1.RoseyBot, seen observed, set manifests.Set) (errs error) {
	needed := map[objectKey]bool{}
	for _, object := range set.All() {
		needed[keyOf(object)] = true
	}
	for key, object := range seen.objects {
		_, isClaim := object.(*corev1.PersistentVolumeClaim)
		if isClaim || needed[key] || !metav1.IsControlledBy(object, bot) || object.GetDeletionTimestamp() != nil {
			continue
		}
		// The UID keeps us from deleting somebody else's new object of the same name.
		err := r.Client.Delete(ctx, object, client.Preconditions{UID: new(object.GetUID())},
			client.PropagationPolicy(metav1.DeletePropagationBackground))
		if client.IgnoreNotFound(err) != nil {
			errs = errors.Join(errs, fmt.Errorf("deleting %s %s: %w", key.kind, key.name, err))
		}
	}
	return errs
}
