package controllers

import (
	"context"
	"fmt"
	"strings"
	"testing"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"rosey.dev/rosey/api/v1alpha1"
	"rosey.dev/rosey/controllers/manifests"
)

// mutate makes the API server apply an expression to each object of a resource that somebody writes in a namespace.
func mutate(t *testing.T, namespace, group, resource, expression string) {
	t.Helper()
	policy := &admissionv1.MutatingAdmissionPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: namespace},
		Spec: admissionv1.MutatingAdmissionPolicySpec{
			MatchConstraints:   matchWrites(namespace, group, resource, admissionv1.Create, admissionv1.Update),
			ReinvocationPolicy: admissionv1.NeverReinvocationPolicy,
			Mutations: []admissionv1.Mutation{{
				PatchType:          admissionv1.PatchTypeApplyConfiguration,
				ApplyConfiguration: &admissionv1.ApplyConfiguration{Expression: expression},
			}},
		},
	}
	createPolicy(t, policy, &admissionv1.MutatingAdmissionPolicyBinding{
		ObjectMeta: metav1.ObjectMeta{Name: namespace},
		Spec:       admissionv1.MutatingAdmissionPolicyBindingSpec{PolicyName: namespace},
	})
}

func matchWrites(
	namespace, group, resource string, operations ...admissionv1.OperationType,
) *admissionv1.MatchResources {
	return &admissionv1.MatchResources{
		NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: namespace}},
		ResourceRules: []admissionv1.NamedRuleWithOperations{{RuleWithOperations: admissionv1.RuleWithOperations{
			Operations: operations,
			Rule: admissionv1.Rule{
				APIGroups: []string{group}, APIVersions: []string{"v1"}, Resources: []string{resource},
			},
		}}},
	}
}

// createPolicy creates an admission policy and its binding, and deletes them at the end of the test.
func createPolicy(t *testing.T, objects ...client.Object) {
	t.Helper()
	for _, object := range objects {
		create(t, object)
		t.Cleanup(func() { _ = rig.admin.Delete(context.WithoutCancel(t.Context()), object) })
	}
}

// forceGracePeriod makes the API server change a field of each Deployment in a namespace.
func forceGracePeriod(t *testing.T, namespace string) {
	t.Helper()
	mutate(t, namespace, "apps", "deployments", "Object{spec: Object.spec{template: "+
		"Object.spec.template{spec: Object.spec.template.spec{terminationGracePeriodSeconds: 5}}}}")
	probe := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Name: "probe", Namespace: namespace}}
	eventually(t, "the policy works", func(ctx context.Context) error {
		trial := probe.DeepCopy()
		trial.Spec = someDeployment()
		if err := rig.admin.Create(ctx, trial, client.DryRunAll); err != nil {
			return err
		}
		if got := *trial.Spec.Template.Spec.TerminationGracePeriodSeconds; got != 5 {
			return fmt.Errorf("the grace period is %d", got)
		}
		return nil
	})
}

// A policy that changes a field of each Deployment: "being rolled out" for ever, and a write every few seconds.
func TestFieldThatAdmissionForcesIsNamed(t *testing.T) {
	bot := newBot(newNamespace(t))
	forceGracePeriod(t, bot.Namespace)
	createReady(t, bot)
	message := "Deployment movienight-db: spec.template.spec.terminationGracePeriodSeconds stays as " +
		"an admission policy or webhook sets it"
	waitExpected(t, bot, expected{v1alpha1.ConditionReady, "True", v1alpha1.ReasonReady, message})
	waitNoCondition(t, bot, v1alpha1.ConditionReconciling, v1alpha1.ConditionStalled)
	waitReconciled(t, bot)
	before := versions(t, bot)
	for range 5 {
		reconcileOnce(t, bot)
	}
	for key, version := range versions(t, bot) {
		if before[key] != version {
			t.Errorf("%s was written", key)
		}
	}

	// A change of the spec is rolled out all the same, and an operator that starts anew makes nothing flap.
	change(t, bot, func() { bot.Spec.LogLevel = "debug" })
	rollOut(t, bot)
	waitExpected(t, bot, expected{v1alpha1.ConditionReady, "True", v1alpha1.ReasonReady, message})
	seen := watchStatus(t, bot)
	rig.operator.memories.forget(types.NamespacedName{Namespace: bot.Namespace, Name: bot.Name})
	waitReconciled(t, bot)
	for _, now := range seen() {
		if !meta.IsStatusConditionTrue(now.Status.Conditions, v1alpha1.ConditionReady) {
			t.Errorf("not ready because a policy undoes a write: %s", describe(now))
		}
	}
}

// Another controller applies a field again and again. One that calls itself as this operator does was taken for an
// admission policy.
func TestFieldThatAnotherManagerForcesIsNamed(t *testing.T) {
	for manager, name := range map[string]string{
		"tuner": "the field manager tuner", string(fieldOwner): "another operator",
	} {
		t.Run(manager, func(t *testing.T) { checkFight(t, manager, name) })
	}
}

func checkFight(t *testing.T, manager, name string) {
	t.Helper()
	bot := newBot(newNamespace(t))
	createReady(t, bot)
	waitReconciled(t, bot)
	deployment := &appsv1.Deployment{}
	deployment.Namespace, deployment.Name = bot.Namespace, manifests.Name(bot, manifests.Bot)
	patch := []byte(`{"spec":{"template":{"spec":{"terminationGracePeriodSeconds":5}}}}`)
	fights := 0
	eventually(t, "the operator gives up", func(ctx context.Context) error {
		live, err := get(ctx, &appsv1.Deployment{}, bot.Namespace, deployment.Name)
		if err != nil {
			return err
		}
		now, err := get(ctx, &v1alpha1.RoseyBot{}, bot.Namespace, bot.Name)
		if err != nil {
			return err
		}
		said := meta.FindStatusCondition(now.Status.Conditions, v1alpha1.ConditionReady)
		if said.Reason == v1alpha1.ReasonFieldForced && strings.Contains(said.Message,
			"spec.template.spec.terminationGracePeriodSeconds stays as "+name+" sets it") {
			return nil
		}
		if *live.Spec.Template.Spec.TerminationGracePeriodSeconds != 5 {
			fights++
			err = rig.admin.Patch(ctx, deployment.DeepCopy(), client.RawPatch(types.MergePatchType, patch),
				client.FieldOwner(manager))
			if err != nil {
				return err
			}
		}
		return fmt.Errorf("%d fights, %s", fights, describe(now))
	})
	if fights > 2*maxRepairs {
		t.Errorf("%d fights", fights)
	}
	rollOut(t, bot)
	waitCondition(t, bot, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady)
}

// someDeployment returns a spec that the API server accepts.
func someDeployment() appsv1.DeploymentSpec {
	labels := map[string]string{"app": "probe"}
	return appsv1.DeploymentSpec{
		Selector: &metav1.LabelSelector{MatchLabels: labels},
		Template: corev1.PodTemplateSpec{
			ObjectMeta: metav1.ObjectMeta{Labels: labels},
			Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "probe", Image: testImage}}},
		},
	}
}
