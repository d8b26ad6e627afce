package v1alpha1

// Types of the conditions of a RoseyBot.
const (
	// ConditionReady is True if what the spec asks for runs: the bot is in its channel, events are stored as durably as
	// asked for, and the current spec is rolled out. If the spec asks for no bot, it is True with reason Suspended or
	// ScaledToZero as soon as no pod is left.
	ConditionReady = "Ready"
	// ConditionBotAvailable is True if a bot pod is ready.
	ConditionBotAvailable = "BotAvailable"
	// ConditionDatabaseAvailable is True if a process that has opened the database is ready to store events.
	ConditionDatabaseAvailable = "DatabaseAvailable"
	// ConditionChannelJoined is True if the bot is in the channel, under the user name of spec.account if it is set.
	ConditionChannelJoined = "ChannelJoined"
	// ConditionDurable is True if no event is lost while a process restarts: a stream in JetStream keeps events until
	// they are stored, or the bot stores them itself. With reason CoreOnly it is False and Ready does not depend on it.
	ConditionDurable = "Durable"
	// ConditionWebAvailable is True if a pod of the web page is ready, and connected to NATS as far as it reports. It is
	// absent if the spec asks for no web page. Ready does not depend on it.
	ConditionWebAvailable = "WebAvailable"
	// ConditionPluginsAvailable is True if users can give the commands of every plugin. It is absent if the spec asks for
	// no plugin. Ready does not depend on it.
	ConditionPluginsAvailable = "PluginsAvailable"
	// ConditionUpdateAvailable is True while this version of the operator would build other pods than those that run,
	// and updatePolicy is Manual, or Automatic and the update has not begun. Ready does not depend on it.
	ConditionUpdateAvailable = "UpdateAvailable"
	// ConditionReconciling is True while the spec is being rolled out, and absent otherwise.
	ConditionReconciling = "Reconciling"
	// ConditionStalled is True while Ready is not True and nothing will change until somebody acts, and absent otherwise.
	ConditionStalled = "Stalled"
)

// Reasons of conditions that the operator sets. A reason that a process reports in /status becomes the reason of a
// condition unchanged; those are listed in package runtime/status. The comments of this file are the descriptions in
// docs/api.md.
const (
	ReasonReady           = "Ready"           // Ready is True
	ReasonAvailable       = "Available"       // a condition whose name ends in Available is True
	ReasonOperatorChanged = "OperatorChanged" // UpdateAvailable is True: this version of the operator builds other pods
	ReasonUpdateWaits     = "UpdateWaits"     // UpdateAvailable is True: an automatic update waits for its turn
	ReasonUpdateFailed    = "UpdateFailed"    // UpdateAvailable is False: not ready since the update, and ready before
	ReasonUpToDate        = "UpToDate"        // UpdateAvailable is False

	ReasonScaledToZero  = "ScaledToZero"  // spec.replicas is 0
	ReasonSuspended     = "Suspended"     // spec.suspend is true
	ReasonProgressing   = "Progressing"   // a change is being rolled out, and no problem is known
	ReasonForeignObject = "ForeignObject" // an object of a required name exists and does not belong to the RoseyBot
	ReasonFieldForced   = "FieldForced"   // somebody else sets a field of an object again whenever the operator does
	ReasonDeletionWaits = "DeletionWaits" // a finalizer or a pod keeps an object of the RoseyBot that somebody has deleted
	ReasonTooLarge      = "TooLarge"      // the RoseyBot, or an object of it, is larger than the operator's memory allows
	ReasonWriteFailed   = "WriteFailed"   // the API server rejected an object, or could not be reached

	ReasonSharedOwnerMissing   = "SharedOwnerMissing"   // the RoseyBot in database.sharedFrom does not exist
	ReasonSharedOwnerUnusable  = "SharedOwnerUnusable"  // the RoseyBot in database.sharedFrom cannot share its database
	ReasonSharedOwnerSuspended = "SharedOwnerSuspended" // the RoseyBot in database.sharedFrom is suspended

	ReasonChannelNotServed = "ChannelNotServed" // a pod of the database service does not serve the bot's channel yet

	ReasonClaimPending     = "ClaimPending"     // the PersistentVolumeClaim is not bound to a volume
	ReasonClaimLost        = "ClaimLost"        // the volume of the PersistentVolumeClaim does not exist any more
	ReasonPodsRefused      = "PodsRefused"      // the API server rejects new pods, for example because of a quota
	ReasonPodFailed        = "PodFailed"        // the pod has failed, for example because it was evicted from its node
	ReasonUnschedulable    = "Unschedulable"    // the scheduler finds no node for the pod
	ReasonMountFailed      = "MountFailed"      // the node cannot mount a volume of the pod
	ReasonImagePullFailed  = "ImagePullFailed"  // the node cannot pull the image
	ReasonContainerRefused = "ContainerRefused" // the node cannot create the container from the image
	ReasonCrashLoop        = "CrashLoop"        // the process exits with an error repeatedly
	ReasonStandbyMissing   = "StandbyMissing"   // for ten minutes, fewer bots than spec.replicas have been ready
	ReasonReplicaMissing   = "ReplicaMissing"   // for ten minutes, fewer database services than asked for have been ready
	ReasonStatusUnknown    = "StatusUnknown"    // a pod is not ready and does not report its status
	ReasonNotReady         = "NotReady"         // a process is not ready for a reason that the operator does not know
	ReasonForeignLeader    = "ForeignLeader"    // the bots stand by for a leader that is not a pod of the RoseyBot
	ReasonBotNotRunning    = "BotNotRunning"    // no bot process is running

	ReasonServiceOutdated = "ServiceOutdated" // the version of the shared database service stores nothing for plugins
)
