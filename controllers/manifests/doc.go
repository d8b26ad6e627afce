// Package manifests computes the Kubernetes objects that a RoseyBot needs. Its functions are pure: they take a
// RoseyBot, the operator's parameters and what was observed in the cluster, and return the desired objects. They have
// no client, no clock and no logger, so golden files and fuzzing test them without an API server.
//
// Which components run, and which of them opens the database, follows from the mode and the kind of database:
//
//	mode    database    Deployments      opens the database
//	NATS    sqlite      bot, database    database service
//	NATS    postgres    bot, database    database service, and the bot while it uses directFallback
//	NATS    sharedFrom  bot              the database service of the other RoseyBot
//	Direct  sqlite      bot              bot
//	Direct  postgres    bot              bot
//
// An SQLite database is a file on a PersistentVolumeClaim, which the component that opens it mounts.
//
// Build starts each object from its entry in base.yaml, which holds all fields that are the same for every RoseyBot,
// and sets what depends on the spec. Defaults that the API server would add to a list item or to a struct that it
// replaces as a whole are set here: otherwise the live object would always differ from the desired one, and the
// operator would write it in every reconcile.
//
// Pin replaces pod templates and configuration in the desired objects by the live ones when they differ only because
// the operator is newer than the one that wrote them, so that an upgrade of the operator restarts no pod unasked.
package manifests
