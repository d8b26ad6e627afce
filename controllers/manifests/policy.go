package manifests

import (
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"rosey.dev/rosey/api/v1alpha1"
)

// networkPolicy lets two into a pod, at its one port: the operator, which asks why it is not ready, and whatever runs
// in namespaces labelled metrics=enabled, as Kubebuilder's projects label those that gather metrics. The kubelet's
// probes come from the node and need no rule.
func networkPolicy(bot *v1alpha1.RoseyBot, params Params, component Component) []client.Object {
	if !ptr.Deref(bot.Spec.NetworkPolicy.Enabled, true) {
		return nil
	}
	operator := networkingv1.NetworkPolicyPeer{
		NamespaceSelector: &metav1.LabelSelector{},
		PodSelector: &metav1.LabelSelector{MatchLabels: map[string]string{
			"app.kubernetes.io/name": ManagedBy, LabelComponent: "operator",
		}},
	}
	if params.OperatorNamespace != "" {
		operator.NamespaceSelector.MatchLabels = map[string]string{corev1.LabelMetadataName: params.OperatorNamespace}
	}
	metrics := networkingv1.NetworkPolicyPeer{
		NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"metrics": "enabled"}},
	}
	return []client.Object{&networkingv1.NetworkPolicy{
		TypeMeta:   metav1.TypeMeta{APIVersion: "networking.k8s.io/v1", Kind: "NetworkPolicy"},
		ObjectMeta: owned(bot, Name(bot, component), componentLabels(bot, component)),
		Spec: networkingv1.NetworkPolicySpec{
			PodSelector: metav1.LabelSelector{MatchLabels: Selector(bot, component)},
			PolicyTypes: []networkingv1.PolicyType{networkingv1.PolicyTypeIngress, networkingv1.PolicyTypeEgress},
			Ingress: []networkingv1.NetworkPolicyIngressRule{{
				From: []networkingv1.NetworkPolicyPeer{operator, metrics},
				Ports: []networkingv1.NetworkPolicyPort{
					{Protocol: new(corev1.ProtocolTCP), Port: new(intstr.FromString(httpPort))},
				},
			}},
			Egress: egress(bot),
		},
	}}
}

// egress is the user's, or DNS and TCP to anywhere: a CyTube server names the ports of its sockets at run time.
// Protocols are written out for the reason that environment gives.
func egress(bot *v1alpha1.RoseyBot) []networkingv1.NetworkPolicyEgressRule {
	rules := bot.Spec.DeepCopy().NetworkPolicy.Egress
	if len(rules) == 0 {
		return []networkingv1.NetworkPolicyEgressRule{{Ports: []networkingv1.NetworkPolicyPort{
			{Protocol: new(corev1.ProtocolUDP), Port: new(intstr.FromInt32(53))},
			{Protocol: new(corev1.ProtocolTCP)},
		}}}
	}
	for _, rule := range rules {
		for i := range rule.Ports {
			rule.Ports[i].Protocol = new(ptr.Deref(rule.Ports[i].Protocol, corev1.ProtocolTCP))
		}
	}
	return rules
}
