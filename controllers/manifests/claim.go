package manifests

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"

	"rosey.dev/rosey/api/v1alpha1"
)

// askedClassAnnotation of a claim is the storage class that the spec asked for when the operator created it, or
// defaultClass. A claim that somebody else created does not have it.
const askedClassAnnotation = "rosey.dev/asked-storage-class"

// defaultClass stands for the default storage class, which the API server writes into the claim. It is no class's name.
const defaultClass = "(default)"

// claim returns the PersistentVolumeClaim of the SQLite database. Unless the retain policy is Delete it has no owner
// reference, because the garbage collector would delete it with the RoseyBot. What cannot change about a live claim
// stays as it is, because a RoseyBot may ask for something else than an earlier one that left the claim: its access
// modes, its storage class, and its size unless it grows.
func claim(bot *v1alpha1.RoseyBot, observed Observed) *corev1.PersistentVolumeClaim {
	claim := newObject[corev1.PersistentVolumeClaim](bot, ClaimName(bot), Database)
	sqlite := sqliteOf(bot)
	if sqlite.RetainPolicy != v1alpha1.DeleteClaim {
		claim.OwnerReferences = nil
	}
	if sqlite.Size != nil {
		claim.Spec.Resources.Requests[corev1.ResourceStorage] = *sqlite.Size
	}
	claim.Spec.StorageClassName = sqlite.StorageClassName
	live := Find[*corev1.PersistentVolumeClaim](observed, claim.Name)
	if live == nil {
		claim.Annotations = map[string]string{askedClassAnnotation: ptr.Deref(sqlite.StorageClassName, defaultClass)}
		return claim
	}
	if asked, found := live.Annotations[askedClassAnnotation]; found {
		claim.Annotations = map[string]string{askedClassAnnotation: asked}
	}
	claim.Spec.AccessModes = live.Spec.AccessModes
	if claim.Spec.StorageClassName != nil {
		claim.Spec.StorageClassName = live.Spec.StorageClassName
	}
	size, has := live.Spec.Resources.Requests[corev1.ResourceStorage], live.Status.Capacity[corev1.ResourceStorage]
	asked := claim.Spec.Resources.Requests[corev1.ResourceStorage]
	// A size that the volume does not have yet can be taken back, if what is asked for now is more than it has.
	if size.Cmp(asked) > 0 && (has.IsZero() || asked.Cmp(has) <= 0) {
		claim.Spec.Resources.Requests[corev1.ResourceStorage] = size
	}
	return claim
}

// ReplacesClaim reports whether a live claim has to be created again: the operator created it, it has no volume, and
// the spec asks for another size or storage class now.
func ReplacesClaim(bot *v1alpha1.RoseyBot, live *corev1.PersistentVolumeClaim) bool {
	asked, created := live.Annotations[askedClassAnnotation]
	if !created || live.Spec.VolumeName != "" || live.Status.Phase != corev1.ClaimPending ||
		live.Spec.DataSource != nil || live.Spec.DataSourceRef != nil {
		return false
	}
	fresh := claim(bot, Observed{})
	size := live.Spec.Resources.Requests[corev1.ResourceStorage]
	return asked != fresh.Annotations[askedClassAnnotation] ||
		size.Cmp(fresh.Spec.Resources.Requests[corev1.ResourceStorage]) != 0
}

// sqliteOf returns the zero SQLite if the spec has none.
func sqliteOf(bot *v1alpha1.RoseyBot) v1alpha1.SQLite {
	return ptr.Deref(databaseOf(bot).SQLite, v1alpha1.SQLite{})
}
