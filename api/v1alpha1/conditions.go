package v1alpha1

// Types of a RoseyBot's conditions.
const (
	// ConditionReady is True when the bot is in its channel, what happens there is stored, and nothing is on its way.
	// It is False with ReasonScaledToZero or ReasonSuspended when the bot was asked to be off.
	ConditionReady = "Ready"
	// ConditionBotAvailable is True while a bot pod does its job.
	ConditionBotAvailable = "BotAvailable"
	// ConditionDatabaseAvailable is True while a pod of the database service does its job.
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
// runtime/config.
const (
	// ReasonReady goes with Ready being True.
	ReasonReady = "Ready"
	// ReasonAvailable goes with BotAvailable and DatabaseAvailable being True.
	ReasonAvailable = "Available"
	// ReasonRolledOut goes with Progressing being False.
	ReasonRolledOut = "RolledOut"

	// ReasonOperatorChanged goes with UpdateAvailable being True.
	ReasonOperatorChanged = "OperatorChanged"
	// ReasonUpToDate goes with UpdateAvailable being False.
	ReasonUpToDate = "UpToDate"

	// ReasonScaledToZero says that spec.replicas is 0.
	ReasonScaledToZero = "ScaledToZero"
	// ReasonSuspended says that spec.suspend is true.
	ReasonSuspended = "Suspended"
	// ReasonProgressing says that something is on its way and nothing is known to be wrong.
	ReasonProgressing = "Progressing"
	// ReasonForeignObject says that an object of a name that is needed exists and belongs to somebody else.
	ReasonForeignObject = "ForeignObject"
	// ReasonWriteFailed says that the API server did not take an object.
	ReasonWriteFailed = "WriteFailed"

	// ReasonClaimPending says that the database's claim has no volume.
	ReasonClaimPending = "ClaimPending"
	// ReasonClaimLost says that the volume of the database's claim is gone.
	ReasonClaimLost = "ClaimLost"
	// ReasonPodsRefused says that the API server refuses to create pods, for example because of a quota.
	ReasonPodsRefused = "PodsRefused"
	// ReasonPodFailed says that a pod ended, for example evicted from its node.
	ReasonPodFailed = "PodFailed"
	// ReasonUnschedulable says that no node takes the pod.
	ReasonUnschedulable = "Unschedulable"
	// ReasonImagePullFailed says that a node cannot get the image.
	ReasonImagePullFailed = "ImagePullFailed"
	// ReasonContainerRefused says that a node cannot start the container from the image it has.
	ReasonContainerRefused = "ContainerRefused"
	// ReasonCrashLoop says that the process ends with an error again and again.
	ReasonCrashLoop = "CrashLoop"
	// ReasonStatusUnknown says that a pod is not ready and could not be asked why.
	ReasonStatusUnknown = "StatusUnknown"
	// ReasonBotNotRunning says that no bot process runs that could be in the channel.
	ReasonBotNotRunning = "BotNotRunning"
)
