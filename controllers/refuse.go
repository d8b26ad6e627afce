package controllers

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"rosey.dev/rosey/api/v1alpha1"
	"rosey.dev/rosey/controllers/manifests"
)

// refuse returns why a live object must not be touched, or nil for one of ours.
func refuse(bot *v1alpha1.RoseyBot, live client.Object) *problem {
	owner := metav1.GetControllerOf(live)
	leftover := owner != nil && owner.Kind == v1alpha1.RoseyBotKind && owner.Name == bot.Name && owner.UID != bot.UID
	switch {
	case leftover || live.GetDeletionTimestamp() != nil:
		return &problem{
			reason:  v1alpha1.ReasonProgressing,
			message: nameOf(live) + " is being deleted and will be made anew",
		}
	case !ours(bot, live):
		return &problem{
			reason: v1alpha1.ReasonForeignObject,
			message: nameOf(live) + " exists and does not belong to this RoseyBot: " +
				"delete it, or give the RoseyBot another name",
		}
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
