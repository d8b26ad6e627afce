package v1alpha1

// Types of a RoseyBot's conditions.
const (
	// ConditionReady is True when the bot is in its channel, what happens there is stored, and nothing is on its way.
	// It is False with ReasonScaledToZero or ReasonSuspended when the bot was asked to be off.
	ConditionReady = "Ready"
	// ConditionBotAvailable is True while a bot pod does its job.
	ConditionBotAvailable = "BotAvailable"
	// ConditionDatabaseAvailable is True while rows are stored, by whichever process has the database open.
	ConditionDatabaseAvailable = "DatabaseAvailable"
	// ConditionChannelJoined is True while the bot is in the channel, under its name if it has one.
	ConditionChannelJoined = "ChannelJoined"
	// ConditionProgressing is True while the cluster does not yet run what the spec asks for.
	ConditionProgressing = "Progressing"
	// ConditionUpdateAvailable is True while the operator would run other pods than it did when the spec last changed,
	// and updatePolicy is Manual. Ready does not depend on it.
	ConditionUpdateAvailable = "UpdateAvailable"
)

// Reasons that the operator gives. What the processes say of themselves goes through as it is: the reasons of
// runtime/status.
const (
	ReasonReady           = "Ready"           // goes with Ready being True
	ReasonAvailable       = "Available"       // goes with BotAvailable and DatabaseAvailable being True
	ReasonRolledOut       = "RolledOut"       // goes with Progressing being False
	ReasonOperatorChanged = "OperatorChanged" // goes with UpdateAvailable being True
	ReasonUpToDate        = "UpToDate"        // goes with UpdateAvailable being False

	ReasonScaledToZero  = "ScaledToZero"  // spec.replicas is 0
	ReasonSuspended     = "Suspended"     // spec.suspend is true
	ReasonProgressing   = "Progressing"   // something is on its way and nothing is known to be wrong
	ReasonForeignObject = "ForeignObject" // a name that is needed belongs to somebody else's object
	ReasonWriteFailed   = "WriteFailed"   // the API server did not take an object

	ReasonSharedOwnerMissing   = "SharedOwnerMissing"   // the RoseyBot of database.sharedFrom does not exist
	ReasonSharedOwnerUnusable  = "SharedOwnerUnusable"  // it has no database service of its own, or not what is needed
	ReasonSharedOwnerSuspended = "SharedOwnerSuspended" // it is suspended, and its database service with it

	ReasonClaimPending     = "ClaimPending"     // the database's claim has no volume
	ReasonClaimLost        = "ClaimLost"        // the volume of the database's claim is gone
	ReasonPodsRefused      = "PodsRefused"      // the API server refuses to create pods, for example because of a quota
	ReasonPodFailed        = "PodFailed"        // a pod ended, for example evicted from its node
	ReasonUnschedulable    = "Unschedulable"    // no node takes the pod
	ReasonImagePullFailed  = "ImagePullFailed"  // a node cannot get the image
	ReasonContainerRefused = "ContainerRefused" // a node cannot start the container from the image it has
	ReasonCrashLoop        = "CrashLoop"        // the process ends with an error again and again
	ReasonStatusUnknown    = "StatusUnknown"    // a pod is not ready and could not be asked why
	ReasonBotNotRunning    = "BotNotRunning"    // no bot process runs that could be in the channel
)
