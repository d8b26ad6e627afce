package manifests

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"

	"rosey.dev/rosey/api/v1alpha1"
)

// claim has no owner reference, so that what was said in a channel outlives the RoseyBot, unless it is not to.
func claim(bot *v1alpha1.RoseyBot) *corev1.PersistentVolumeClaim {
	claim := made[corev1.PersistentVolumeClaim](bot, DatabaseName(bot), Database)
	sqlite := ptr.Deref(databaseOf(bot).SQLite, v1alpha1.SQLite{})
	if sqlite.RetainPolicy != v1alpha1.DeleteClaim {
		claim.OwnerReferences = nil
	}
	if sqlite.Size != nil {
		claim.Spec.Resources.Requests[corev1.ResourceStorage] = *sqlite.Size
	}
	claim.Spec.StorageClassName = sqlite.StorageClassName
	return claim
}

// KeepClaim returns what may be asked of a claim that exists: a claim cannot shrink nor change its class or access
// modes, and a RoseyBot that takes up the claim of one before it may ask for other ones.
func KeepClaim(desired, live *corev1.PersistentVolumeClaim) *corev1.PersistentVolumeClaim {
	kept := desired.DeepCopy()
	kept.Spec.AccessModes = live.Spec.AccessModes
	if kept.Spec.StorageClassName != nil {
		kept.Spec.StorageClassName = live.Spec.StorageClassName
	}
	size := live.Spec.Resources.Requests[corev1.ResourceStorage]
	if size.Cmp(kept.Spec.Resources.Requests[corev1.ResourceStorage]) > 0 {
		kept.Spec.Resources.Requests[corev1.ResourceStorage] = size
	}
	return kept
}
