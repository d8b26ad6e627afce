package manifests

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"rosey.dev/rosey/api/v1alpha1"
)

// DefaultClaimSize is the claim's size where a RoseyBot gives none.
const DefaultClaimSize = "1Gi"

// claim has no owner reference, so that what was said in a channel outlives the RoseyBot, unless it is not to.
func claim(bot *v1alpha1.RoseyBot) *corev1.PersistentVolumeClaim {
	sqlite := v1alpha1.SQLite{}
	if bot.Spec.Database != nil && bot.Spec.Database.SQLite != nil {
		sqlite = *bot.Spec.Database.SQLite
	}
	size := resource.MustParse(DefaultClaimSize)
	if sqlite.Size != nil {
		size = *sqlite.Size
	}
	meta := owned(bot, DatabaseName(bot), componentLabels(bot, Database))
	if sqlite.RetainPolicy != v1alpha1.DeleteClaim {
		meta.OwnerReferences = nil
	}
	return &corev1.PersistentVolumeClaim{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "PersistentVolumeClaim"},
		ObjectMeta: meta,
		Spec: corev1.PersistentVolumeClaimSpec{
			AccessModes:      []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			StorageClassName: sqlite.StorageClassName,
			Resources: corev1.VolumeResourceRequirements{
				Requests: corev1.ResourceList{corev1.ResourceStorage: size},
			},
		},
	}
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
