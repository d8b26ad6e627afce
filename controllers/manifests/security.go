package manifests

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"rosey.dev/rosey/api/v1alpha1"
)

// imageGroup is the numeric group of the image's user.
const imageGroup = int64(65532)

// podSecurity and containerSecurity meet the restricted Pod Security Standard. The user is the image's own, so that
// platforms that choose a user for a namespace can.
func podSecurity(bot *v1alpha1.RoseyBot, component Component) *corev1.PodSecurityContext {
	security := bot.Spec.PodSecurityContext.DeepCopy()
	if security == nil {
		security = &corev1.PodSecurityContext{}
		if component == Database {
			security.FSGroup = new(imageGroup)
			// Changing the group of every file at each start takes minutes on a large volume.
			security.FSGroupChangePolicy = new(corev1.FSGroupChangeOnRootMismatch)
		}
	}
	if security.RunAsNonRoot == nil {
		security.RunAsNonRoot = new(true)
	}
	if security.SeccompProfile == nil {
		security.SeccompProfile = &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault}
	}
	return security
}

func containerSecurity() *corev1.SecurityContext {
	return &corev1.SecurityContext{
		AllowPrivilegeEscalation: new(false),
		ReadOnlyRootFilesystem:   new(true),
		Capabilities:             &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
	}
}

func probe(path string, periodSeconds, failureThreshold int32) *corev1.Probe {
	return &corev1.Probe{
		ProbeHandler: corev1.ProbeHandler{
			HTTPGet: &corev1.HTTPGetAction{Path: path, Port: intstr.FromString(httpPort)},
		},
		PeriodSeconds:    periodSeconds,
		TimeoutSeconds:   2,
		FailureThreshold: failureThreshold,
	}
}
