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

// Values of fields of the spec.
const (
	ModeNATS        Mode          = "NATS"
	ModeDirect      Mode          = "Direct"
	JetStreamAuto   JetStreamMode = "Auto"
	JetStreamAlways JetStreamMode = "Always"
	JetStreamNever  JetStreamMode = "Never"
	RetainClaim     RetainPolicy  = "Retain"
	DeleteClaim     RetainPolicy  = "Delete"
	UpdateManual    UpdatePolicy  = "Manual"
	UpdateAutomatic UpdatePolicy  = "Automatic"
)
