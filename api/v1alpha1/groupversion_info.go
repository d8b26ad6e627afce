package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// GroupVersion is the group and version of this package's types.
var GroupVersion = schema.GroupVersion{Group: "rosey.dev", Version: "v1alpha1"}

// RoseyBotKind is the kind of RoseyBot.
const RoseyBotKind = "RoseyBot"

// AddToScheme adds this package's types to a scheme.
func AddToScheme(scheme *runtime.Scheme) error {
	scheme.AddKnownTypes(GroupVersion, &RoseyBot{}, &RoseyBotList{})
	metav1.AddToGroupVersion(scheme, GroupVersion)
	return nil
}

// The modes of a bot.
const (
	ModeNATS   Mode = "NATS"   // the bot publishes events over NATS, and a database service stores them
	ModeDirect Mode = "Direct" // the bot opens the database itself
)

// The uses of JetStream.
const (
	JetStreamAuto   JetStreamMode = "Auto"   // use JetStream if the server supports and permits it
	JetStreamAlways JetStreamMode = "Always" // wait until JetStream is available
	JetStreamNever  JetStreamMode = "Never"  // use core NATS
)

// Who creates the stream, its consumer and the bucket of the leader election.
const (
	ProvisioningAutomatic Provisioning = "Automatic" // the bot and the database service
	ProvisioningManual    Provisioning = "Manual"    // an administrator
)

// What happens to a claim when its RoseyBot is deleted.
const (
	RetainClaim RetainPolicy = "Retain"
	DeleteClaim RetainPolicy = "Delete"
)

// What a newer operator does with running pods.
const (
	UpdateManual    UpdatePolicy = "Manual"    // leave them until the spec changes
	UpdateAutomatic UpdatePolicy = "Automatic" // replace them
)

// Who may read the pages about individual people.
const (
	PeoplePublic     PeoplePages = "Public"     // everybody who may read the other pages
	PeopleTokensOnly PeoplePages = "TokensOnly" // who has a token
	PeopleOff        PeoplePages = "Off"        // nobody
)

// What the kubelet and the operator can ask the process of a plugin.
const (
	PluginProbesNone PluginProbes = "None" // nothing
	PluginProbesHTTP PluginProbes = "HTTP" // what every process of the runtime serves
)
