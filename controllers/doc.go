// Package controllers contains the operator's reconciler, which makes the cluster run what RoseyBots ask for.
//
// # A reconcile
//
// A change of a RoseyBot's spec, of an object that carries its label, of a RoseyBot that uses the same database
// service, or of what one of its pods reports starts a reconcile of that RoseyBot. It has four steps:
//
//  1. Observe: read the objects and pods of the RoseyBot from the cache.
//  2. Apply: compute the desired objects with the pure functions of package manifests, write those that differ from
//     the live ones, and delete those that are no longer desired.
//  3. Probe: request the reports of running pods that are not ready, and take those that arrived last.
//  4. Status: compute the status from the results of the first three steps, and write it if it differs.
//
// # Writing objects
//
// An object that does not exist is created by POST, which never overwrites anything. An object that exists and is not
// controlled by this RoseyBot is never adopted: the RoseyBot reports ForeignObject. There are two exceptions, both
// without a controller and with the RoseyBot's labels. Objects that `kubectl delete --cascade=orphan` left also carry
// the operator's hash: labels alone prove nothing, because users copy manifests. For a claim the labels suffice: a
// retained one has no owner, and a backup tool that restores one gives it labels, but not the hash. Anything else is
// written by server-side apply with one field owner.
//
// If the last reconcile found everything as desired, and neither the RoseyBot nor the version of one of its objects
// has changed since, nothing is built or compared: most reconciles only ask what pods report. Otherwise, if nothing
// has to change, nothing is sent to the API server. The desired object is compared with the live one from the cache as
// the API server would do it: lists by their keys, quantities by their value, and without fields that only the live
// object has. Such a comparison cannot see that a field is no longer desired, so each object carries a hash of what
// was last written. The first apply after the POST moves the fields that the POST wrote to the apply's field owner;
// otherwise they would have two owners, and a field that is no longer desired would stay. The managed fields are read
// from the API server, because the cache omits them to save memory.
//
// An apply leaves the fields that others own. If the API server refuses it because some of them exclude those of the
// operator, the content of the object is written as a whole first.
//
// A field that an admission policy or another field manager sets again whenever it is written is named, in Ready and in
// an event, and left alone for some minutes. A write counts as a rollout only if it changed the object's generation.
//
// # Channels of a database service
//
// A database service serves only the channels that it is told to: its own, and those of the RoseyBots that share it.
// The operator writes them into a ConfigMap that the service reads while it runs. A bot is started, or its channel
// changed, only when every pod of the service reports that it serves the channel: a pod that does not would refuse the
// first lines. A channel stays in the list as long as a pod of a bot is in it.
//
// # Upgrades of the operator
//
// A newer operator may build other pod templates from the same spec. Under updatePolicy Manual it pins the live
// template and configuration of each Deployment until a change of the spec makes another one of it, and the condition
// UpdateAvailable lists the pending updates; see manifests.FindUpdate. Under Automatic RoseyBots take turns, and one
// that does not become ready again halts the others; see updates.go. An update that has begun is in the status, which
// only the operator writes. A write that changes nothing about pods makes no RoseyBot not ready; see write.go.
//
// # Rollouts
//
// The Deployment controller does not get out of every change of a Deployment, so the strategy never changes together
// with the number of pods or their template; see manifests/rollout.go.
//
// # Status
//
// The kubelet polls the pods' readiness, so the operator does not. It requests a pod's /status while the pod is not
// ready, and that of a ready bot or web page for what readiness does not say. Causes that Kubernetes knows (a claim
// without a volume, an image that cannot be pulled, a crash) come from the pod and the claim; all others are the
// reasons that the process itself reports. A pod that does not respond makes a condition Unknown, never False.
//
// A standby is ready without being in the channel, and a leader whose login is refused stays the leader. So with
// several bots ChannelJoined is what the leader reports: a ready bot reports the leader's name, at least every 30
// seconds, and is followed by the leader's own report. While the leader changes, what was known before stays.
//
// Requests to pods are sent outside of reconciles, a bounded number at a time in each namespace: a pod that never
// responds delays no reconcile. A report may be false, and another one each time. So requests, writes of the status and
// events are limited for each RoseyBot and each namespace (the objects and the first status of a new generation are
// not), a write of the status starts no reconcile, and a reason must be one that the operator knows.
//
// A new RoseyBot is written two statuses: the first after its objects, and Ready. What only shows progress in between,
// such as a pod that was created, is written when it has lasted for some seconds, or with the next status that is more:
// a cause that somebody has to know of, Ready, a change of the leader, or what the operator has to find in the status
// before it acts. Others may wait for the database service, so that it is available is written at once if it is shared.
//
// While a RoseyBot is not ready, reconciles are repeated: after two seconds at first, and less often the longer it
// lasts. The report of a ready bot is requested every minute: it says whether events are durable.
//
// Ready is True if what the spec asks for runs, so also if it asks for nothing. It does not depend on the web page
// and the plugins, which nothing else needs: WebAvailable and PluginsAvailable alone say what is wrong with them, and
// what is left of their rollouts. The bot reads the list of plugins while it runs, so that a change of it replaces no
// pod of the bot; its report has the hash of what is in force, and PluginsAvailable waits for it. Reconciling
// exists while a change is being rolled out, and Stalled while nothing will change until somebody acts: a cause that
// only a person can fix has lasted for a minute, or a Deployment has exceeded its progress deadline. This is how
// programs that use kstatus read the state of an object: never both of them, and neither while Ready is True. The
// schema's default of observedGeneration, -1, makes a RoseyBot that was never reconciled differ from one that is up to
// date.
package controllers
