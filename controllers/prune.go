package controllers

import (
	"context"
	"errors"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"rosey.dev/rosey/api/v1alpha1"
	"rosey.dev/rosey/controllers/manifests"
)

// prune deletes what the RoseyBot owns and no longer needs. Claims stay: rows go with their RoseyBot or not at all.
func (r *Reconciler) prune(ctx context.Context, bot *v1alpha1.RoseyBot, seen observed, set manifests.Set) error {
	needed := map[objectKey]bool{}
	for _, object := range slices.Concat(set.Shared, set.Database, set.Bot) {
		needed[keyOf(object)] = true
	}
	var failed error
	for key, object := range seen.objects {
		_, isClaim := object.(*corev1.PersistentVolumeClaim)
		if isClaim || needed[key] || !metav1.IsControlledBy(object, bot) || object.GetDeletionTimestamp() != nil {
			continue
		}
		// The UID keeps us from deleting somebody else's new object of the same name.
		err := r.Client.Delete(ctx, object, client.Preconditions{UID: new(object.GetUID())},
			client.PropagationPolicy(metav1.DeletePropagationBackground))
		if client.IgnoreNotFound(err) != nil {
			failed = errors.Join(failed, fmt.Errorf("deleting %s %s: %w", key.kind, key.name, err))
		}
	}
	return failed
}
