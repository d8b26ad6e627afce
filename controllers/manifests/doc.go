// Package manifests computes the Kubernetes objects that a RoseyBot needs. Its functions are pure: they take a
// RoseyBot, the operator's parameters and what was observed in the cluster, and return the desired objects. They have
// no client, no clock and no logger, so golden files and fuzzing test them without an API server.
//
// Which components run, and which of them opens the database, follows from the mode and the kind of database:
//
//	mode    database    Deployments      opens the database                   bots  database services
//	NATS    sqlite      bot, database    database service                     any   1
//	NATS    postgres    bot, database    database service, and the bot while  any   any, or autoscaled
//	                                     it uses directFallback
//	NATS    sharedFrom  bot              that of the other RoseyBot           any   those of the other RoseyBot
//	Direct  sqlite      bot              bot                                  0, 1  none
//	Direct  postgres    bot              bot                                  0, 1  none
//
// A web page and plugins run beside these in mode NATS, whatever the database, where the spec asks for them: see
// plugins.go. With sharedFrom a RoseyBot has them of its own.
//
// An SQLite database is a file on a PersistentVolumeClaim, which the component that opens it mounts. When the mode
// changes, that component has no pods until no pod of the other one mounts the claim, not even a terminating one.
//
// The pods of a component that may have several are spread over nodes and replaced by a rolling update, which starts a
// new pod before it deletes an old one. The pod of another component is deleted before a new one starts. How a
// Deployment gets from one strategy to the other is in rollout.go. A PodDisruptionBudget exists only for several pods:
// for a single one it would block the drain of its node.
//
// Build starts each object from its entry in base.yaml, which holds all fields that are the same for every RoseyBot,
// and sets what depends on the spec. Defaults that the API server would add to a list item or to a struct that it
// replaces as a whole are set here: otherwise the live object would always differ from the desired one, and the
// operator would write it in every reconcile.
//
// FindUpdate finds the pod templates and the configuration that differ from the live ones only because the operator is
// newer than the one that wrote them, so that an upgrade of the operator restarts no pod unasked. For that, each
// Deployment carries the generation of the spec and the hash of what was built from it last: the same generation means
// that only the operator has changed, and the same hash that the spec has changed in what other Deployments are built
// from.
package manifests
