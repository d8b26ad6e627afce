package controllers

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"rosey.dev/rosey/api/v1alpha1"
	"rosey.dev/rosey/controllers/manifests"
	"rosey.dev/rosey/runtime/config"
	"rosey.dev/rosey/runtime/status"
)

// displayName returns the name of a component in messages.
func displayName(component manifests.Component) string {
	if plugin := manifests.PluginName(component); plugin != "" {
		return "plugin " + plugin
	}
	return displayNames[component]
}

var displayNames = map[manifests.Component]string{
	manifests.Bot: "bot", manifests.Database: "database service", manifests.Web: "web page",
	manifests.Plugins: "host of the built-in plugins",
}

func conditionTrue(reason, message string) *metav1.Condition {
	return &metav1.Condition{Status: metav1.ConditionTrue, Reason: reason, Message: message}
}

func conditionFalse(reason, message string) *metav1.Condition {
	return &metav1.Condition{Status: metav1.ConditionFalse, Reason: reason, Message: message}
}

func conditionUnknown(message string) *metav1.Condition {
	return &metav1.Condition{Status: metav1.ConditionUnknown, Reason: v1alpha1.ReasonStatusUnknown, Message: message}
}

func databaseCondition(in statusInput) *metav1.Condition {
	switch {
	case manifests.SharedFrom(in.bot) != "":
		return sharedDatabaseCondition(in)
	case !manifests.HasService(in.bot):
		return checkCondition(in, in.observed.newestPod(manifests.Bot), status.StoreCheck,
			conditionTrue(v1alpha1.ReasonAvailable, "the bot has opened the database"+claimsNotes(in)))
	}
	return availableCondition(in, manifests.Database, "a pod of the database service is ready"+claimsNotes(in))
}

// sharedDatabaseCondition returns DatabaseAvailable of the RoseyBot that shares its database service.
func sharedDatabaseCondition(in statusInput) *metav1.Condition {
	owner := in.observed.Owner
	if found := checkSharedOwner(in.bot, in.observed); found != nil {
		return conditionFalse(found.reason, found.message)
	}
	name := "RoseyBot " + owner.Name
	if ptr.Deref(owner.Spec.Suspend, false) {
		return conditionFalse(v1alpha1.ReasonSharedOwnerSuspended, name+" is suspended, and so is its database service")
	}
	condition := meta.FindStatusCondition(owner.Status.Conditions, v1alpha1.ConditionDatabaseAvailable)
	switch {
	case condition == nil:
		return conditionFalse(v1alpha1.ReasonProgressing, name+" has no status yet")
	case condition.Reason == v1alpha1.ReasonSuspended: // from before it was resumed
		return conditionFalse(v1alpha1.ReasonProgressing, name+" is being resumed, and so is its database service")
	}
	return &metav1.Condition{
		Status: condition.Status, Reason: condition.Reason, Message: name + ": " + condition.Message,
	}
}

// stoppedCondition returns the condition of a component for which the spec asks for no pods. It returns nil for others.
func stoppedCondition(bot *v1alpha1.RoseyBot, component manifests.Component) *metav1.Condition {
	switch {
	case manifests.Replicas(bot, component) > 0:
		return nil
	case ptr.Deref(bot.Spec.Suspend, false):
		return conditionFalse(v1alpha1.ReasonSuspended, "spec.suspend is true")
	}
	return conditionFalse(v1alpha1.ReasonScaledToZero, "spec.replicas is 0")
}

// checkCondition returns the condition for one check of the bot: ok while its pod is ready, or else what the bot
// reports. The pod may be nil.
func checkCondition(in statusInput, pod *corev1.Pod, name status.CheckName, ok *metav1.Condition) *metav1.Condition {
	if pod != nil && podReady(pod) {
		return ok
	}
	if condition := stoppedCondition(in.bot, manifests.Bot); condition != nil {
		return condition
	}
	if running, _ := podRunning(pod); !running {
		return conditionFalse(v1alpha1.ReasonBotNotRunning, "no bot is running")
	}
	report, missing := reportOf(in, pod, manifests.Bot)
	if missing != nil {
		return missing
	}
	return checkOf(in, report, name, ok)
}

// checkOf returns the condition for one check of a bot's report: ok, or its reason.
func checkOf(in statusInput, report status.Report, name status.CheckName, ok *metav1.Condition) *metav1.Condition {
	check, reported := findCheck(report, name)
	switch {
	case !reported:
		return conditionUnknown(fmt.Sprintf("the bot does not report its check %q", name))
	case check.OK:
		return ok
	}
	return conditionFalse(translateReason(in, manifests.Bot, check.Reason, check.Message))
}

func findCheck(report status.Report, name status.CheckName) (check status.Check, reported bool) {
	for _, check := range report.Checks {
		if check.Name == name {
			return check, true
		}
	}
	return status.Check{}, false
}

// translateReason returns the reason and message of a condition for those that a process reports. A process can only
// name a file that is missing; the message names the Secret that should contain it.
func translateReason(
	in statusInput, component manifests.Component, reason status.Reason, message string,
) (conditionReason, conditionMessage string) {
	var ref *v1alpha1.SecretKeyRef
	defaultKey := config.SecretFile
	switch reason {
	case status.ReasonConnectionLimited:
		if in.observed.server.crowded() {
			message += "; " + in.observed.server.String()
		}
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

// tracesNote returns why the newest bot cannot send traces, for a message, or "". It does its work without.
func tracesNote(in statusInput) string {
	spec, pod := in.bot.Spec.Telemetry, in.observed.newestPod(manifests.Bot)
	if spec == nil || pod == nil || in.reports[pod.Name].report.Telemetry == "" {
		return ""
	}
	note, problem := "; its traces cannot be sent: ", in.reports[pod.Name].report.Telemetry
	switch headers := spec.HeadersSecretRef; { // the process can only name a file
	case headers != nil && strings.Contains(problem, config.TelemetrySecretDir+"/"):
		note += fmt.Sprintf("Secret %s, key %s: ", headers.Name, cmp.Or(headers.Key, config.TelemetryHeadersFile))
	case spec.TLSSecretRef != nil && strings.Contains(problem, config.TelemetryTLSDir):
		note += fmt.Sprintf("Secret %s: ", spec.TLSSecretRef.Name)
	}
	return note + problem
}

// updateCondition returns a condition that is True while pods are pinned to what an older operator built. update is the
// automatic update that goes on, or nil.
func updateCondition(in statusInput, update *v1alpha1.UpdateStatus) *metav1.Condition {
	switch updates := strings.Join(in.applied.updates, ", "); {
	case update != nil && in.updateFailed:
		return conditionFalse(v1alpha1.ReasonUpdateFailed, fmt.Sprintf("the update to image %s began at %s, and the "+
			"RoseyBot, which was ready before, has not become ready with it: no other RoseyBot of this namespace is updated "+
			"until this one is ready, has another image in spec.image, or is deleted",
			update.Image, update.StartTime.UTC().Format(time.RFC3339)))
	case updates == "":
		return conditionFalse(v1alpha1.ReasonUpToDate, "all pods run what this version of the operator builds")
	case in.applied.updateWaits != "":
		return conditionTrue(v1alpha1.ReasonUpdateWaits, in.applied.updateWaits+"; afterwards: "+updates)
	case update != nil:
		return conditionTrue(v1alpha1.ReasonUpdateWaits, "the update begins: "+updates)
	default:
		return conditionTrue(v1alpha1.ReasonOperatorChanged, "this version of the operator builds different pods, which it "+
			"rolls out when what they are built from changes in the spec, or with updatePolicy Automatic: "+updates)
	}
}

// unfinishedUpdate returns the automatic update that goes on, or nil. A RoseyBot that is ready because it is off has
// not been seen to work with it.
func unfinishedUpdate(in statusInput, ready *metav1.Condition) *v1alpha1.UpdateStatus {
	isWritten := len(in.applied.updates) == 0
	if in.update != nil && isWritten && ready.Status == metav1.ConditionTrue && (isWorking(ready) || !in.update.WasReady) {
		return nil
	}
	return in.update
}
