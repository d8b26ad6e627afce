package controllers

import (
	"cmp"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"rosey.dev/rosey/api/v1alpha1"
	"rosey.dev/rosey/runtime/status"
)

// severity is what a reason means for a RoseyBot of which a condition is not True.
type severity int

const (
	failure   severity = iota // somebody has to fix it, or at least to know of it
	healthy                   // Ready does not depend on it
	requested                 // the spec asks for it: Ready is True with it
	transient                 // it passes soon, or follows from the reason of another condition
	temporary                 // it belongs to a first start, follows from a request, or passes by itself
)

// stallRule is when a RoseyBot that is not ready for a reason is Stalled.
type stallRule int

const (
	neverStalls      stallRule = iota // it may pass by itself, however long it lasts
	stallsAtDeadline                  // it may pass until a Deployment exceeds its progress deadline
	stallsSoon                        // it does not pass until somebody acts
)

// reasonClass is how a reason is treated.
type reasonClass struct {
	severity severity
	stalls   stallRule
}

// reasonsOfClass has every reason once.
var reasonsOfClass = map[reasonClass][]status.Reason{
	{healthy, neverStalls}: {
		v1alpha1.ReasonReady, v1alpha1.ReasonAvailable, v1alpha1.ReasonOperatorChanged, v1alpha1.ReasonUpdateWaits,
		v1alpha1.ReasonUpdateFailed, v1alpha1.ReasonUpToDate, status.ReasonJoined, status.ReasonStandby,
		status.ReasonConnected, status.ReasonStreamBound, status.ReasonCoreOnly, status.ReasonServiceAnswers,
		status.ReasonDirect, status.ReasonStoreOpen,
		status.ReasonPermissionsNotEnforced, status.ReasonPluginConflict, status.ReasonOverridesUnused,
	},
	{requested, neverStalls}: {v1alpha1.ReasonScaledToZero, v1alpha1.ReasonSuspended},
	{transient, neverStalls}: {
		v1alpha1.ReasonBotNotRunning, v1alpha1.ReasonChannelNotServed, status.ReasonStarting, status.ReasonStopping,
		status.ReasonServiceAbsent, status.ReasonNoLeader,
	},
	{transient, stallsAtDeadline}: {v1alpha1.ReasonProgressing},
	{temporary, neverStalls}:      {status.ReasonLoginLimited, status.ReasonConnectionLimited},
	{temporary, stallsAtDeadline}: {v1alpha1.ReasonClaimPending},
	{temporary, stallsSoon}:       {v1alpha1.ReasonSharedOwnerSuspended},
	{failure, neverStalls}: { // outages, and what a moderator may undo
		v1alpha1.ReasonStatusUnknown, v1alpha1.ReasonNotReady, status.ReasonServerUnreachable, status.ReasonKicked,
		status.ReasonDisconnected, status.ReasonDuplicateLogin, status.ReasonLockUnavailable, status.ReasonNATSUnreachable,
		status.ReasonStreamUnavailable, status.ReasonStoreUnavailable, status.ReasonPluginAbsent,
		status.ReasonPluginFailed, status.ReasonPluginsInvalid, status.ReasonPluginBusy, status.ReasonPluginSettingsInvalid,
		v1alpha1.ReasonServiceOutdated,
	},
	{failure, stallsAtDeadline}: {
		v1alpha1.ReasonFieldForced, v1alpha1.ReasonWriteFailed, v1alpha1.ReasonPodsRefused, v1alpha1.ReasonPodFailed,
		v1alpha1.ReasonUnschedulable, v1alpha1.ReasonMountFailed, v1alpha1.ReasonImagePullFailed,
		v1alpha1.ReasonContainerRefused, v1alpha1.ReasonCrashLoop,
	},
	{failure, stallsSoon}: {
		v1alpha1.ReasonForeignObject, v1alpha1.ReasonForeignLeader, v1alpha1.ReasonClaimLost, v1alpha1.ReasonTooLarge,
		v1alpha1.ReasonDeletionWaits,
		v1alpha1.ReasonSharedOwnerMissing, v1alpha1.ReasonSharedOwnerUnusable, v1alpha1.ReasonStandbyMissing,
		v1alpha1.ReasonReplicaMissing, status.ReasonChannelRefused, status.ReasonChannelPasswordWrong,
		status.ReasonLoginRefused, status.ReasonNameTaken, status.ReasonBanned, status.ReasonAccountPasswordAbsent,
		status.ReasonChannelPasswordAbsent, status.ReasonNATSRefused, status.ReasonNATSCredentialsAbsent,
		status.ReasonNATSPermissionMissing, status.ReasonJetStreamMissing, status.ReasonStreamRefused,
		status.ReasonStreamMismatch, status.ReasonStreamCapturesRequests, status.ReasonSubjectConflict,
		status.ReasonStoreFull, status.ReasonStoreNewer, status.ReasonStoreRefused, status.ReasonStoreURLAbsent,
		status.ReasonStoreURLInvalid, status.ReasonStoreUnsuitable, status.ReasonStoreMoved, status.ReasonMigrationFailed,
		status.ReasonChannelOwned, status.ReasonChannelListInvalid,
	},
}

// reasonClasses has the class of each reason.
var reasonClasses = func() map[string]reasonClass {
	classes := map[string]reasonClass{}
	for class, reasons := range reasonsOfClass {
		for _, reason := range reasons {
			classes[string(reason)] = class
		}
	}
	return classes
}()

// hasSeverity reports whether a reason has one of some severities.
func hasSeverity(reason string, severities ...severity) bool {
	return slices.Contains(severities, reasonClasses[reason].severity)
}

// isHarmless reports whether nobody has to fix the reason why a RoseyBot is not ready, as long as it is not stalled.
func isHarmless(reason string) bool { return hasSeverity(reason, requested, transient, temporary) }

// compareReasons orders the reasons why a RoseyBot is not ready: a cause comes before what follows from it, and what is
// known before what is unknown.
func compareReasons(a, b metav1.Condition) int { return cmp.Compare(rank(a), rank(b)) }

func rank(condition metav1.Condition) int {
	switch {
	case condition.Reason == v1alpha1.ReasonForeignObject:
		return 0
	case condition.Status == metav1.ConditionUnknown:
		return 2
	case hasSeverity(condition.Reason, transient):
		return 3
	}
	return 1
}
