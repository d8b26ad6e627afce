package controllers

import (
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/utils/ptr"

	"rosey.dev/rosey/api/v1alpha1"
	"rosey.dev/rosey/controllers/manifests"
)

// unshared returns why the database service that database.sharedFrom names cannot be used, or nil.
func unshared(bot, owner *v1alpha1.RoseyBot) *problem {
	name := "RoseyBot " + manifests.SharedFrom(bot)
	switch {
	case manifests.SharedFrom(bot) == "":
		return nil
	case owner == nil:
		return &problem{
			reason:  v1alpha1.ReasonSharedOwnerMissing,
			message: name + " does not exist, and database.sharedFrom names it",
		}
	case !manifests.HasService(owner):
		return &problem{
			reason:  v1alpha1.ReasonSharedOwnerUnusable,
			message: name + " has no database service of its own, as database.sharedFrom expects",
		}
	case manifests.Standby(bot) && owner.Spec.NATS.JetStream != nil &&
		owner.Spec.NATS.JetStream.Mode == v1alpha1.JetStreamNever:
		return &problem{
			reason:  v1alpha1.ReasonSharedOwnerUnusable,
			message: name + " has nats.jetStream.mode Never: expected another one, or replicas of at most 1",
		}
	}
	return nil
}

// sharedDatabase is how the database service of another RoseyBot is.
func sharedDatabase(s situation) verdict {
	if found := unshared(s.bot, s.seen.owner); found != nil {
		return no(found.reason, found.message)
	}
	name := "RoseyBot " + s.seen.owner.Name
	if ptr.Deref(s.seen.owner.Spec.Suspend, false) {
		return no(v1alpha1.ReasonSharedOwnerSuspended, name+" is suspended, and with it the database service")
	}
	theirs := meta.FindStatusCondition(s.seen.owner.Status.Conditions, v1alpha1.ConditionDatabaseAvailable)
	if theirs == nil {
		return no(v1alpha1.ReasonProgressing, name+" is new")
	}
	return verdict{theirs.Status, theirs.Reason, name + ": " + theirs.Message}
}
