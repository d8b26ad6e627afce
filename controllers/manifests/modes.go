package manifests

import (
	"k8s.io/utils/ptr"

	"rosey.dev/rosey/api/v1alpha1"
)

// What runs where, and which of them has the database open. A claim is held by whoever has SQLite open.
//
//	mode    store       Deployments     opens the store
//	NATS    sqlite      bot, database   database
//	NATS    postgres    bot, database   database, and the bot for directFallback
//	NATS    sharedFrom  bot             the other RoseyBot's
//	Direct  any         bot             bot

// SharedFrom is the name of the RoseyBot whose NATS, prefix and database service are used, or empty.
func SharedFrom(bot *v1alpha1.RoseyBot) string {
	if ref := databaseOf(bot).SharedFrom; ref != nil {
		return string(ref.Name)
	}
	return ""
}

// HasService says whether a RoseyBot has a database service of its own.
func HasService(bot *v1alpha1.RoseyBot) bool {
	return bot.Spec.Mode != v1alpha1.ModeDirect && SharedFrom(bot) == ""
}

// opensStore says whether the pods of a component have the database open.
func opensStore(bot *v1alpha1.RoseyBot, component Component) bool {
	return HasService(bot) == (component == Database) && SharedFrom(bot) == ""
}

// HoldsClaim says whether the pods of a component have the claim.
func HoldsClaim(bot *v1alpha1.RoseyBot, component Component) bool {
	return opensStore(bot, component) && databaseOf(bot).Postgres == nil
}

func fallsBack(bot *v1alpha1.RoseyBot, component Component) bool {
	return component == Bot && ptr.Deref(databaseOf(bot).DirectFallback, false)
}

// Standby says whether more than one bot is asked for. Suspended ones count, so that pausing changes no template.
func Standby(bot *v1alpha1.RoseyBot) bool { return ptr.Deref(bot.Spec.Replicas, 1) > 1 }

// severalMayRun says whether a second pod of a component is harmless: not beside a bot without a standby's lock, which
// would be in the channel twice, and not beside the one writer to a file.
func severalMayRun(bot *v1alpha1.RoseyBot, component Component) bool {
	if component == Bot {
		return Standby(bot)
	}
	return !HoldsClaim(bot, component)
}

// Replicas is the number of pods of a component that a RoseyBot asks for; where Autoscaled, the number to start with.
func Replicas(bot *v1alpha1.RoseyBot, component Component) int32 {
	switch {
	case ptr.Deref(bot.Spec.Suspend, false) || component == Database && !HasService(bot):
		return 0
	case component == Bot:
		return ptr.Deref(bot.Spec.Replicas, 1)
	}
	wanted := ptr.Deref(databaseOf(bot).Replicas, 1)
	if scaling := databaseOf(bot).Autoscaling; scaling != nil {
		return min(max(wanted, ptr.Deref(scaling.MinReplicas, 1)), scaling.MaxReplicas)
	}
	return wanted
}

// Autoscaled says whether not the operator but a HorizontalPodAutoscaler sets the number of pods of a component.
func Autoscaled(bot *v1alpha1.RoseyBot, component Component) bool {
	return databaseOf(bot).Autoscaling != nil && component == Database && Replicas(bot, component) > 0
}

// databaseOf is the zero Database where a RoseyBot has none.
func databaseOf(bot *v1alpha1.RoseyBot) v1alpha1.Database {
	return ptr.Deref(bot.Spec.Database, v1alpha1.Database{})
}

// NATS is inherited whole from the owner of a database service that is shared. In mode Direct it is zero.
func NATS(bot, owner *v1alpha1.RoseyBot) v1alpha1.NATS {
	return ptr.Deref(busOf(bot, owner).Spec.NATS, v1alpha1.NATS{})
}

func busOf(bot, owner *v1alpha1.RoseyBot) *v1alpha1.RoseyBot {
	if SharedFrom(bot) != "" && owner != nil {
		return owner
	}
	return bot
}
