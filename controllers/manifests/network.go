package manifests

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"rosey.dev/rosey/api/v1alpha1"
	"rosey.dev/rosey/runtime/config"
)

// httpPort names the port of status and metrics in pods and Services.
const httpPort = "http"

func service(bot *v1alpha1.RoseyBot, component Component) *corev1.Service {
	return &corev1.Service{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Service"},
		ObjectMeta: owned(bot, Name(bot, component), componentLabels(bot, component)),
		Spec: corev1.ServiceSpec{
			Selector: Selector(bot, component),
			Ports: []corev1.ServicePort{{
				Name:       httpPort,
				Protocol:   corev1.ProtocolTCP,
				Port:       config.HTTPPort,
				TargetPort: intstr.FromString(httpPort),
			}},
		},
	}
}

// serviceAccount has no rights and no token: neither process talks to Kubernetes. It exists so that the pods do not
// run as the namespace's default ServiceAccount, to which somebody may give rights.
func serviceAccount(bot *v1alpha1.RoseyBot) *corev1.ServiceAccount {
	return &corev1.ServiceAccount{
		TypeMeta:                     metav1.TypeMeta{APIVersion: "v1", Kind: "ServiceAccount"},
		ObjectMeta:                   owned(bot, serviceAccountName(bot), sharedLabels(bot)),
		AutomountServiceAccountToken: new(false),
	}
}
