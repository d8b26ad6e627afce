package controllers

import (
	"context"
	"fmt"
	"slices"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"rosey.dev/rosey/api/v1alpha1"
	"rosey.dev/rosey/controllers/manifests"
)

// withPodSettings sets every field that is copied to the pods.
func withPodSettings(bot *v1alpha1.RoseyBot) *v1alpha1.RoseyBot {
	bot.Spec.Scheduling = v1alpha1.Scheduling{
		NodeSelector: map[string]v1alpha1.LabelValue{"disk": "ssd"},
		Tolerations:  []corev1.Toleration{{Key: "a", Operator: corev1.TolerationOpExists}},
		Affinity: &corev1.Affinity{PodAntiAffinity: &corev1.PodAntiAffinity{
			RequiredDuringSchedulingIgnoredDuringExecution: []corev1.PodAffinityTerm{{TopologyKey: "zone"}},
		}},
		TopologySpreadConstraints: []corev1.TopologySpreadConstraint{
			{MaxSkew: 1, TopologyKey: "zone", WhenUnsatisfiable: corev1.DoNotSchedule},
			{MaxSkew: 2, TopologyKey: "zone", WhenUnsatisfiable: corev1.ScheduleAnyway},
		},
	}
	bot.Spec.PodMetadata = v1alpha1.PodMetadata{
		Labels:      map[string]v1alpha1.LabelValue{"team": "fun"},
		Annotations: map[string]v1alpha1.AnnotationValue{"note": "a note"},
	}
	bot.Spec.ExtraEnv = []corev1.EnvVar{
		{Name: "EMPTY"},
		{Name: "NODE", ValueFrom: &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{FieldPath: "spec.nodeName"}}},
		{Name: "MEMORY", ValueFrom: &corev1.EnvVarSource{ResourceFieldRef: &corev1.ResourceFieldSelector{
			Resource: "limits.memory", Divisor: quantity("1024Ki"),
		}}},
	}
	bot.Spec.PodSecurityContext = &corev1.PodSecurityContext{FSGroup: new(int64(2000))}
	bot.Spec.ServiceAccountName = "chat"
	bot.Spec.NetworkPolicy.Egress = []networkingv1.NetworkPolicyEgressRule{
		{Ports: []networkingv1.NetworkPolicyPort{{Port: new(intstr.FromInt32(4222))}}},
		{To: []networkingv1.NetworkPolicyPeer{{IPBlock: &networkingv1.IPBlock{CIDR: "10.0.0.0/8"}}}},
	}
	return bot
}

// Settings of pods are written once, although the API server adds defaults to them, and are removed with the field.
func TestPodSettingsAreAppliedAndRemoved(t *testing.T) {
	bot := withPodSettings(newBot(newNamespace(t)))
	createReady(t, bot)
	waitReconciled(t, bot)
	_, err := get(t.Context(), &corev1.ServiceAccount{}, bot.Namespace, "movienight-rosey")
	if !apierrors.IsNotFound(err) {
		t.Errorf("a ServiceAccount in addition to the specified one: %v, want none", err)
	}
	change(t, bot, func() { bot.Spec = newBot(bot.Namespace).Spec })
	eventually(t, "the settings are gone", func(ctx context.Context) error {
		deployment, err := get(ctx, &appsv1.Deployment{}, bot.Namespace, "movienight-bot")
		if err != nil {
			return err
		}
		template := deployment.Spec.Template
		spec := template.Spec
		spread := slices.DeleteFunc(spec.TopologySpreadConstraints, func(one corev1.TopologySpreadConstraint) bool {
			return one.TopologyKey == corev1.LabelHostname // the operator's own
		})
		if template.Labels["team"] != "" || template.Annotations["note"] != "" || len(spec.NodeSelector) > 0 ||
			len(spec.Tolerations) > 0 || spec.Affinity != nil || len(spread) > 0 ||
			len(spec.Containers[0].Env) != 2 || spec.SecurityContext.FSGroup != nil || spec.ServiceAccountName == "chat" {
			return fmt.Errorf("template is %v", template)
		}
		return nil
	})
	waitReconciled(t, bot)
	change(t, bot, func() { bot.Spec.ServiceAccountName = "chat" })
	eventually(t, "the ServiceAccount is deleted", func(ctx context.Context) error {
		_, err := get(ctx, &corev1.ServiceAccount{}, bot.Namespace, "movienight-rosey")
		if apierrors.IsNotFound(err) {
			return nil
		}
		return fmt.Errorf("it still exists: %w", err)
	})
}

// A NetworkPolicy that was edited is restored, and one that the spec disables is deleted.
func TestNetworkPolicyIsRepairedAndPruned(t *testing.T) {
	bot := newBot(newNamespace(t))
	create(t, bot)
	waitCondition(t, bot, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonProgressing)
	policy := &networkingv1.NetworkPolicy{}
	policy.Namespace, policy.Name = bot.Namespace, "movienight-bot"
	change(t, policy, func() { policy.Spec.Ingress = []networkingv1.NetworkPolicyIngressRule{{}} })
	eventually(t, "the policy is restored", func(ctx context.Context) error {
		now, err := get(ctx, &networkingv1.NetworkPolicy{}, bot.Namespace, "movienight-bot")
		if err == nil && len(now.Spec.Ingress[0].From) != 2 {
			err = fmt.Errorf("ingress is %v", now.Spec.Ingress)
		}
		return err
	})
	change(t, bot, func() { bot.Spec.NetworkPolicy.Enabled = new(false) })
	eventually(t, "there is no policy", func(ctx context.Context) error {
		left := &networkingv1.NetworkPolicyList{}
		err := rig.admin.List(ctx, left, client.InNamespace(bot.Namespace))
		if err == nil && len(left.Items) > 0 {
			err = fmt.Errorf("there are %d", len(left.Items))
		}
		return err
	})
}

// The API server itself checks the pods against the restricted Pod Security Standard.
func TestPodsAreRestricted(t *testing.T) {
	bot := newBot(newNamespace(t))
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: bot.Namespace}}
	change(t, namespace, func() { namespace.Labels["pod-security.kubernetes.io/enforce"] = "restricted" })
	create(t, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "chat", Namespace: bot.Namespace}})
	create(t, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "movienight-rosey", Namespace: bot.Namespace}})
	for _, one := range []*v1alpha1.RoseyBot{bot, withPodSettings(newBot(bot.Namespace))} {
		set, err := manifests.Build(one, manifests.Params{Image: testImage}, manifests.Observed{})
		if err != nil {
			t.Fatal(err)
		}
		for _, desired := range set {
			deployment, isDeployment := desired.Object.(*appsv1.Deployment)
			if !isDeployment {
				continue
			}
			template := deployment.Spec.Template
			pod := &corev1.Pod{ObjectMeta: template.ObjectMeta, Spec: template.Spec}
			pod.GenerateName, pod.Namespace = "pod-", bot.Namespace
			if err := rig.admin.Create(t.Context(), pod, client.DryRunAll); err != nil {
				t.Errorf("%s: %v", deployment.Name, err)
			}
			pod.ResourceVersion, pod.UID = "", ""
			pod.Spec.Containers[0].SecurityContext = nil
			if err := rig.admin.Create(t.Context(), pod, client.DryRunAll); !apierrors.IsForbidden(err) {
				t.Errorf("%s without a security context: %v, want it to be forbidden", deployment.Name, err)
			}
		}
	}
}
