package controllers

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"rosey.dev/rosey/api/v1alpha1"
	"rosey.dev/rosey/controllers/manifests"
	"rosey.dev/rosey/runtime/config"
	"rosey.dev/rosey/runtime/status"
)

// displayName is the name of a component in messages.
var displayName = map[manifests.Component]string{manifests.Bot: "bot", manifests.Database: "database service"}

// transientReasons are reasons that pass with time, or follow from the reason of another condition.
var transientReasons = map[string]bool{
	v1alpha1.ReasonProgressing: true, v1alpha1.ReasonBotNotRunning: true, v1alpha1.ReasonChannelNotServed: true,
	string(status.ReasonStarting): true, string(status.ReasonStopping): true, string(status.ReasonServiceAbsent): true,
}

// requestedReasons are reasons for a condition to be False that the spec asks for.
var requestedReasons = map[string]bool{v1alpha1.ReasonScaledToZero: true, v1alpha1.ReasonSuspended: true}

func conditionTrue(reason, message string) *metav1.Condition {
	return &metav1.Condition{Status: metav1.ConditionTrue, Reason: reason, Message: message}
}

func conditionFalse(reason, message string) *metav1.Condition {
	return &metav1.Condition{Status: metav1.ConditionFalse, Reason: reason, Message: message}
}

func conditionUnknown(message string) *metav1.Condition {
	return &metav1.Condition{Status: metav1.ConditionUnknown, Reason: v1alpha1.ReasonStatusUnknown, Message: message}
}

func databaseAvailable(in statusInput) *metav1.Condition {
	switch {
	case manifests.SharedFrom(in.bot) != "":
		return sharedDatabase(in)
	case !manifests.HasService(in.bot):
		return checked(in, in.observed.newestPod(manifests.Bot), status.StoreCheck,
			conditionTrue(v1alpha1.ReasonAvailable, "the bot has opened the database"))
	}
	message := "a pod of the database service is ready"
	claim, database := in.claim(), ptr.Deref(in.bot.Spec.Database, v1alpha1.Database{})
	if claim != nil && database.SQLite != nil && database.SQLite.StorageClassName != nil {
		if class := ptr.Deref(claim.Spec.StorageClassName, ""); class != *database.SQLite.StorageClassName {
			message += "; its claim has storage class " + class + ", which cannot be changed"
		}
	}
	return available(in, manifests.Database, message)
}

// sharedDatabase returns DatabaseAvailable of the RoseyBot that shares its database service.
func sharedDatabase(in statusInput) *metav1.Condition {
	owner := in.observed.Owner
	if found := checkSharedOwner(in.bot, in.observed); found != nil {
		return conditionFalse(found.reason, found.message)
	}
	name := "RoseyBot " + owner.Name
	if ptr.Deref(owner.Spec.Suspend, false) {
		return conditionFalse(v1alpha1.ReasonSharedOwnerSuspended, name+" is suspended, and so is its database service")
	}
	condition := meta.FindStatusCondition(owner.Status.Conditions, v1alpha1.ConditionDatabaseAvailable)
	if condition == nil {
		return conditionFalse(v1alpha1.ReasonProgressing, name+" has no status yet")
	}
	return &metav1.Condition{
		Status: condition.Status, Reason: condition.Reason, Message: name + ": " + condition.Message,
	}
}

// available returns the condition of a component: True with a message if a pod is ready, or else the cause.
func available(in statusInput, component manifests.Component, message string) *metav1.Condition {
	if condition := stopped(in.bot, component); condition != nil {
		return condition
	}
	if _, ready := in.observed.countPods(component); ready > 0 {
		return conditionTrue(v1alpha1.ReasonAvailable, message)
	}
	if found := in.applied.problem(component); found != nil && !found.usable {
		return conditionFalse(found.reason, found.message)
	}
	return cause(in, component)
}

// stopped returns the condition of a component for which the spec asks for no pods. It returns nil for others.
func stopped(bot *v1alpha1.RoseyBot, component manifests.Component) *metav1.Condition {
	switch {
	case manifests.Replicas(bot, component) > 0:
		return nil
	case ptr.Deref(bot.Spec.Suspend, false):
		return conditionFalse(v1alpha1.ReasonSuspended, "spec.suspend is true")
	}
	return conditionFalse(v1alpha1.ReasonScaledToZero, "spec.replicas is 0")
}

// channelJoined returns ChannelJoined. With several bots it is about the leader, since a standby is ready without being
// in the channel: a leader whose login is refused stays the leader. A leader whose pod is deleted or no longer runs is
// replaced within seconds, so until then ChannelJoined is about the standby that is ready to take over.
func channelJoined(in statusInput) *metav1.Condition {
	pod := in.observed.newestPod(manifests.Bot)
	if manifests.HasStandbys(in.bot) {
		if other := foreignLeader(in, pod); other != "" {
			return conditionFalse(v1alpha1.ReasonForeignLeader,
				"the bots stand by for "+other+", which is not a pod of this RoseyBot: see who can write the leader's key in NATS")
		}
		if leading := in.observed.runningPod(manifests.Bot, leader(in)); leading != nil {
			pod = leading
		}
	}
	return checked(in, pod, status.ChannelCheck,
		conditionTrue(string(status.ReasonJoined), "in "+channelName(in.bot)))
}

// foreignLeader returns the leader for which a ready bot stands by if that was never a pod of the RoseyBot, or else "".
// pod may be nil.
func foreignLeader(in statusInput, pod *corev1.Pod) string {
	if pod == nil || !podReady(pod) {
		return ""
	}
	reported := in.reports[pod.Name].report.Leader
	if reported == leader(in) || in.observed.hasPod(manifests.Bot, reported) {
		return ""
	}
	return reported
}

// checked returns the condition for one check of the bot: ok while its pod is ready, or else what the bot reports. The
// pod may be nil.
func checked(in statusInput, pod *corev1.Pod, name status.CheckName, ok *metav1.Condition) *metav1.Condition {
	if pod != nil && podReady(pod) {
		return ok
	}
	if condition := stopped(in.bot, manifests.Bot); condition != nil {
		return condition
	}
	if running, _ := podRunning(pod); !running {
		return conditionFalse(v1alpha1.ReasonBotNotRunning, "no bot is running")
	}
	report, missing := reportOf(in, pod, manifests.Bot)
	if missing != nil {
		return missing
	}
	for _, check := range report.Checks {
		switch {
		case check.Name != name:
			continue
		case check.OK:
			return ok
		}
		return conditionFalse(translateReason(in, manifests.Bot, check.Reason, check.Message))
	}
	return conditionUnknown(fmt.Sprintf("the bot does not report its check %q", name))
}

// channelName describes the channel and the name under which the bot is in it.
func channelName(bot *v1alpha1.RoseyBot) string {
	who := "anonymously"
	if bot.Spec.Account != nil {
		who = "as " + bot.Spec.Account.Username
	}
	return fmt.Sprintf("channel %s on %s, %s", bot.Spec.Channel.Name, bot.Spec.Channel.Server, who)
}

// translateReason returns the reason and message of a condition for those that a process reports. A process can only
// name a file that is missing; the message names the Secret that should contain it.
func translateReason(
	in statusInput, component manifests.Component, reason status.Reason, message string,
) (conditionReason, conditionMessage string) {
	var ref *v1alpha1.SecretKeyRef
	defaultKey := config.SecretFile
	switch reason {
	case status.ReasonAccountPasswordAbsent:
		ref = ptr.Deref(in.bot.Spec.Account, v1alpha1.Account{}).PasswordSecretRef
	case status.ReasonChannelPasswordAbsent:
		ref = in.bot.Spec.Channel.PasswordSecretRef
	case status.ReasonStoreURLAbsent:
		if database := in.bot.Spec.Database; database != nil && database.Postgres != nil {
			ref, defaultKey = &database.Postgres.URLSecretRef, config.PostgresURLFile
		}
	case status.ReasonNATSCredentialsAbsent:
		if secret := manifests.NATSCredentials(in.bot, in.observed.Owner, component); secret != nil {
			message = fmt.Sprintf("Secret %s does not exist or has no credentials: "+
				"expected the keys nats.creds; username and password; token; or nkey", secret.Name)
		}
	default:
	}
	if ref != nil {
		message = fmt.Sprintf("Secret %s, key %s: absent or empty", ref.Name, cmp.Or(ref.Key, defaultKey))
	}
	return string(reason), message
}

// progressing returns a condition that is True while the cluster does not yet run what the spec asks for: because a
// rollout takes time, or because of a problem.
func progressing(in statusInput) *metav1.Condition {
	components := manifests.Components(in.bot)
	for _, component := range components {
		if found := in.applied.problem(component); found != nil {
			return conditionTrue(found.reason, found.message)
		}
	}
	for _, component := range components {
		if !rolledOut(in.deployment(component), in.desiredReplicas(component)) {
			return conditionTrue(v1alpha1.ReasonProgressing,
				fmt.Sprintf("the %s is being rolled out", displayName[component]))
		}
	}
	return conditionFalse(v1alpha1.ReasonRolledOut, "all pods run the current spec")
}

// updateAvailable returns a condition that is True while pods are pinned to what an older operator built.
func updateAvailable(in statusInput) *metav1.Condition {
	if len(in.applied.updates) == 0 {
		return conditionFalse(v1alpha1.ReasonUpToDate, "all pods run what this version of the operator builds")
	}
	return conditionTrue(v1alpha1.ReasonOperatorChanged, "this version of the operator builds different pods, which it "+
		"rolls out when the spec changes or with updatePolicy Automatic: "+strings.Join(in.applied.updates, ", "))
}

func rolledOut(deployment *appsv1.Deployment, replicas int32) bool {
	return deployment != nil && deployment.Status.ObservedGeneration >= deployment.Generation &&
		deployment.Status.UpdatedReplicas == replicas && deployment.Status.Replicas == replicas
}

// ready returns the summary of the other conditions, which are in the order of their importance: True if all of them
// are as they should be, or else the most important of those that are not.
func ready(in statusInput, conditions []metav1.Condition) *metav1.Condition {
	if condition := stopped(in.bot, manifests.Bot); condition != nil {
		return condition
	}
	failing := slices.DeleteFunc(slices.Clone(conditions), func(condition metav1.Condition) bool {
		// Progressing is the one condition that is False when all is well.
		return (condition.Status == metav1.ConditionTrue) != (condition.Type == v1alpha1.ConditionProgressing)
	})
	if len(failing) == 0 {
		return conditionTrue(v1alpha1.ReasonReady, "in "+channelName(in.bot)+", and storing events")
	}
	first := slices.MinFunc(failing, func(a, b metav1.Condition) int { return cmp.Compare(rank(a), rank(b)) })
	if first.Status == metav1.ConditionUnknown {
		return conditionUnknown(first.Message)
	}
	return conditionFalse(first.Reason, first.Message)
}

// rank orders the reasons why a RoseyBot is not ready: a cause comes before what follows from it, and what is known
// before what is unknown.
func rank(condition metav1.Condition) int {
	switch {
	case condition.Reason == v1alpha1.ReasonForeignObject:
		return 0
	case condition.Status == metav1.ConditionUnknown:
		return 2
	case transientReasons[condition.Reason]:
		return 3
	}
	return 1
}
