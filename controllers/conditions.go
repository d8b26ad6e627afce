package controllers

import (
	"cmp"
	"fmt"
	"time"

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

func botAvailable(s situation) verdict {
	return available(s, manifests.Bot, "a bot pod does its job")
}

func databaseAvailable(s situation) verdict {
	switch {
	case manifests.SharedFrom(s.bot) != "":
		return sharedDatabase(s)
	case !manifests.HasService(s.bot):
		return checked(s, status.StoreCheck, yes(v1alpha1.ReasonAvailable, "the bot has the database open itself"))
	}
	message := "a pod of the database service does its job"
	claim, database := find[*corev1.PersistentVolumeClaim](s.seen, manifests.ClaimName(s.bot)), s.bot.Spec.Database
	if claim != nil && database != nil && database.SQLite != nil && database.SQLite.StorageClassName != nil &&
		*database.SQLite.StorageClassName != ptr.Deref(claim.Spec.StorageClassName, "") {
		message += ", on a claim that keeps its storage class " + ptr.Deref(claim.Spec.StorageClassName, "")
	}
	return available(s, manifests.Database, message)
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
	return verdict{Status: theirs.Status, Reason: theirs.Reason, Message: name + ": " + theirs.Message}
}

func available(s situation, component manifests.Component, message string) verdict {
	if why, isOff := s.off(component); isOff {
		return why
	}
	if _, ready := s.seen.count(component); ready > 0 {
		return yes(v1alpha1.ReasonAvailable, message)
	}
	if found := s.problems[component]; found != nil && !found.usable {
		return no(found.reason, found.message)
	}
	return cause(s, component)
}

func channelJoined(s situation) verdict {
	return checked(s, status.ChannelCheck, yes(string(status.ReasonJoined), "in "+place(s.bot)))
}

// checked goes by readiness while a bot is ready, and else by what the bot itself says of one check.
func checked(s situation, name status.CheckName, fine verdict) verdict {
	if _, ready := s.seen.count(manifests.Bot); ready > 0 {
		return fine
	}
	if why, isOff := s.off(manifests.Bot); isOff {
		return why
	}
	pod := s.seen.newestPod(manifests.Bot)
	if pod == nil || !running(pod, false) {
		return no(v1alpha1.ReasonBotNotRunning, "no bot process runs")
	}
	heard, asked := s.answers[manifests.Bot]
	switch {
	case !asked:
		return no(string(status.ReasonStarting), "the bot's process starts")
	case heard.err != nil:
		return unknown("the bot cannot be asked: " + heard.err.Error())
	}
	for _, check := range heard.report.Checks {
		switch {
		case check.Name != name:
			continue
		case check.OK:
			return fine
		}
		return no(words(s, check.Reason, check.Message))
	}
	return unknown(fmt.Sprintf("the bot does not speak of its check %q", name))
}

// place says in words where the bot is when all is well.
func place(bot *v1alpha1.RoseyBot) string {
	who := "anonymously"
	if bot.Spec.Account != nil {
		who = "as " + bot.Spec.Account.Username
	}
	return fmt.Sprintf("channel %s on %s, %s", bot.Spec.Channel.Name, bot.Spec.Channel.Server, who)
}

// words are those of a process, with a Secret's name where the process can only name a file.
func words(s situation, reason status.Reason, message string) (conditionReason, conditionMessage string) {
	var ref *v1alpha1.SecretKeyRef
	standard := config.SecretFile
	switch reason {
	case status.ReasonAccountPasswordAbsent:
		ref = ptr.Deref(s.bot.Spec.Account, v1alpha1.Account{}).PasswordSecretRef
	case status.ReasonChannelPasswordAbsent:
		ref = s.bot.Spec.Channel.PasswordSecretRef
	case status.ReasonStoreURLAbsent:
		if database := s.bot.Spec.Database; database != nil && database.Postgres != nil {
			ref, standard = &database.Postgres.URLSecretRef, config.PostgresURLFile
		}
	case status.ReasonNATSCredentialsAbsent:
		if secret := manifests.NATS(s.bot, s.seen.owner).CredentialsSecretRef; secret != nil {
			message = fmt.Sprintf("Secret %s: absent, or without keys to log in with: "+
				"nats.creds; username and password; token; or nkey", secret.Name)
		}
	default:
	}
	if ref != nil {
		message = fmt.Sprintf("Secret %s, key %s: absent or empty", ref.Name, cmp.Or(ref.Key, standard))
	}
	return string(reason), message
}

// progressing is True while the cluster does not yet run what the spec asks for, whether that needs time or help.
func progressing(s situation) verdict {
	components := []manifests.Component{manifests.Database, manifests.Bot}
	if !manifests.HasService(s.bot) {
		components = components[1:]
	}
	for _, component := range components {
		if found := s.problems[component]; found != nil {
			return yes(found.reason, found.message)
		}
	}
	for _, component := range components {
		if !rolledOut(s.deployment(component), s.wanted(component)) {
			return yes(v1alpha1.ReasonProgressing, fmt.Sprintf("the %s is being rolled out", inWords[component]))
		}
	}
	return no(v1alpha1.ReasonRolledOut, "what runs is what the spec asks for")
}

func updateAvailable(s situation) verdict {
	if s.update == "" {
		return no(v1alpha1.ReasonUpToDate, "what runs is what this operator would run")
	}
	return yes(v1alpha1.ReasonOperatorChanged,
		"any change of the spec, or updatePolicy: Automatic, rolls out what this operator would run: "+s.update)
}

func rolledOut(deployment *appsv1.Deployment, wanted int32) bool {
	return deployment != nil && deployment.Status.ObservedGeneration >= deployment.Generation &&
		deployment.Status.UpdatedReplicas == wanted && deployment.Status.Replicas == wanted
}

// inWords is what people call a component.
var inWords = map[manifests.Component]string{manifests.Bot: "bot", manifests.Database: "database service"}

// ready is the summary: True when all is well, else the most telling of what is not. Of equally telling ones the
// root cause counts, and causes go from database to bot to channel.
func ready(s situation, verdicts map[string]verdict) verdict {
	if why, isOff := s.off(manifests.Bot); isOff {
		return why
	}
	for _, tells := range []func(one verdict) bool{
		func(one verdict) bool { return one.Reason == v1alpha1.ReasonForeignObject },
		func(one verdict) bool { return one.Status != metav1.ConditionUnknown && !onTheWay[one.Reason] },
		func(one verdict) bool { return one.Status == metav1.ConditionUnknown },
		func(verdict) bool { return true },
	} {
		for _, kind := range []string{
			v1alpha1.ConditionDatabaseAvailable, v1alpha1.ConditionBotAvailable,
			v1alpha1.ConditionChannelJoined, v1alpha1.ConditionProgressing,
		} {
			one, well := verdicts[kind], metav1.ConditionTrue
			if kind == v1alpha1.ConditionProgressing {
				well = metav1.ConditionFalse
			}
			switch {
			case one.Status == well || !tells(one):
				continue
			case one.Status == metav1.ConditionUnknown:
				return unknown(one.Message)
			}
			return no(one.Reason, one.Message)
		}
	}
	return yes(v1alpha1.ReasonReady, "in "+place(s.bot)+", and what happens there is stored")
}

// onTheWay are the reasons that need only time, or follow from another one.
var onTheWay = map[string]bool{
	v1alpha1.ReasonProgressing: true, v1alpha1.ReasonBotNotRunning: true, string(status.ReasonStarting): true,
	string(status.ReasonStopping): true, string(status.ReasonServiceAbsent): true,
}

// askedFor are the reasons that are the user's wish.
var askedFor = map[string]bool{v1alpha1.ReasonScaledToZero: true, v1alpha1.ReasonSuspended: true}

const (
	soonestLook = 2 * time.Second
	latestLook  = 30 * time.Second
)

// nextLook is when to ask again: not at all when all is well, since changes of objects and of the pods' readiness
// start a pass; else less often the longer it lasts.
func nextLook(bot *v1alpha1.RoseyBot, status v1alpha1.RoseyBotStatus, now time.Time) time.Duration {
	summary := meta.FindStatusCondition(status.Conditions, v1alpha1.ConditionReady)
	database := meta.FindStatusCondition(status.Conditions, v1alpha1.ConditionDatabaseAvailable)
	asleep := askedFor[summary.Reason] &&
		meta.IsStatusConditionFalse(status.Conditions, v1alpha1.ConditionProgressing) &&
		(database.Status == metav1.ConditionTrue || askedFor[database.Reason])
	switch {
	case manifests.Standby(bot) && summary.Status == metav1.ConditionTrue:
		return latestLook // the lock can change hands while every pod stays ready
	case summary.Status == metav1.ConditionTrue || asleep:
		return 0
	}
	return min(max(now.Sub(summary.LastTransitionTime.Time)/2, soonestLook), latestLook)
}
