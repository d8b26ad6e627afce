package controllers

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"rosey.dev/rosey/api/v1alpha1"
	"rosey.dev/rosey/controllers/manifests"
)

// deletePods deletes the pods of a component at once, as the garbage collector and the kubelet do.
func deletePods(t *testing.T, bot *v1alpha1.RoseyBot, component manifests.Component) {
	t.Helper()
	if err := rig.admin.DeleteAllOf(t.Context(), &corev1.Pod{}, client.InNamespace(bot.Namespace),
		client.MatchingLabels(manifests.Selector(bot, component)), client.GracePeriodSeconds(0)); err != nil {
		t.Fatal(err)
	}
}

// A policy that forbids to delete: a web page that was turned off ran on, without its NetworkPolicy, beside a RoseyBot
// that was Ready.
func TestWebPageThatCannotBeDeletedIsReportedAndStaysLimited(t *testing.T) {
	bot := newBot(newNamespace(t))
	bot.Spec.Web = &v1alpha1.Web{Enabled: new(true), Public: new(true)}
	createReady(t, bot)
	newPod(t, bot, manifests.Web, runningPod("127.0.0.1", true))
	createPolicy(t, &admissionv1.ValidatingAdmissionPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: bot.Namespace},
		Spec: admissionv1.ValidatingAdmissionPolicySpec{
			MatchConstraints: matchWrites(bot.Namespace, "apps", "deployments", admissionv1.Delete),
			Validations:      []admissionv1.Validation{{Expression: "false", Message: "nobody deletes here"}},
		},
	}, &admissionv1.ValidatingAdmissionPolicyBinding{
		ObjectMeta: metav1.ObjectMeta{Name: bot.Namespace},
		Spec: admissionv1.ValidatingAdmissionPolicyBindingSpec{
			PolicyName: bot.Namespace, ValidationActions: []admissionv1.ValidationAction{admissionv1.Deny},
		},
	})
	web, err := get(t.Context(), &appsv1.Deployment{}, bot.Namespace, "movienight-web")
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the policy works", func(ctx context.Context) error {
		if err := rig.admin.Delete(ctx, web.DeepCopy(), client.DryRunAll); err == nil {
			return errors.New("the Deployment can be deleted")
		}
		return nil
	})
	change(t, bot, func() { bot.Spec.Web.Enabled = new(false) })
	waitExpected(t, bot, expected{v1alpha1.ConditionReady, "False", v1alpha1.ReasonWriteFailed,
		"Deployment movienight-web: it is not needed any more, and deleting it fails: "})
	waitGone(t, &corev1.Service{}, bot.Namespace, "movienight-web")
	if _, err := get(t.Context(), &networkingv1.NetworkPolicy{}, bot.Namespace, "movienight-web"); err != nil {
		t.Errorf("its NetworkPolicy: %v", err)
	}
}

// The NetworkPolicy of what is turned off was deleted before its pods.
func TestPodsThatEndAreLimitedToTheLast(t *testing.T) {
	bot := newBot(newNamespace(t))
	bot.Spec.Web = &v1alpha1.Web{Enabled: new(true), Public: new(true)}
	createReady(t, bot)
	newPod(t, bot, manifests.Web, runningPod("127.0.0.1", true))
	change(t, bot, func() { bot.Spec.Web.Enabled = new(false) })
	waitGone(t, &appsv1.Deployment{}, bot.Namespace, "movienight-web")
	waitReconciled(t, bot)
	if _, err := get(t.Context(), &networkingv1.NetworkPolicy{}, bot.Namespace, "movienight-web"); err != nil {
		t.Errorf("its NetworkPolicy: %v", err)
	}
	deletePods(t, bot, manifests.Web)
	waitGone(t, &networkingv1.NetworkPolicy{}, bot.Namespace, "movienight-web")
}

// Somebody deletes the claim while its database is open: "it will be created again afterwards", as something normal.
func TestClaimThatIsDeletedWhileItIsUsedIsAWarning(t *testing.T) {
	namespace := newNamespace(t)
	bot := withClaim(newBot(namespace), "1Gi", namespace)
	createReady(t, bot)
	bindClaim(t, bot, namespace, false)
	claim := getClaim(t, bot)
	if err := rig.admin.Delete(t.Context(), claim); err != nil {
		t.Fatal(err)
	}
	waitExpected(t, bot, expected{v1alpha1.ConditionReady, "False", v1alpha1.ReasonDeletionWaits,
		"PersistentVolumeClaim movienight-db is being deleted, which waits for kubernetes.io/pvc-protection: what it holds " +
			"is lost when no pod uses it any more, so make a backup before; it will be created again, empty"})
	waitExpected(t, bot, expected{v1alpha1.ConditionDatabaseAvailable, "True", v1alpha1.ReasonAvailable,
		"its claim is being deleted"})
	if isHarmless(v1alpha1.ReasonDeletionWaits) {
		t.Error("the event is no warning")
	}
}

// A finalizer of others kept a deleted Deployment: for ever something normal, and nothing said what it waits for.
func TestDeletionThatAFinalizerHoldsIsReported(t *testing.T) {
	deleted := time.Date(2026, time.January, 1, 0, 0, 0, 0, time.UTC)
	live := &appsv1.Deployment{}
	live.Kind, live.Name, live.DeletionTimestamp = "Deployment", "movienight-bot", new(metav1.NewTime(deleted))
	for name, test := range map[string]struct {
		finalizers []string
		after      time.Duration
		reason     string
		message    string
	}{
		"soon": {[]string{"example.org/hold"}, 30 * time.Second, "Progressing", "waits for example.org/hold; and then"},
		"late": {[]string{"a/b", "c/d", "e/f", "g/h"}, time.Minute, "DeletionWaits", "waits for a/b, c/d, e/f; and then"},
		"none": {nil, time.Hour, "Progressing", "Deployment movienight-bot is being deleted; and then"},
	} {
		t.Run(name, func(t *testing.T) {
			cached := live.DeepCopy()
			cached.Finalizers = test.finalizers
			trim(cached)
			got := deletionProblem(cached, deleted.Add(test.after), "; and then")
			if got.reason != test.reason || !strings.HasSuffix(got.message, test.message) {
				t.Errorf("%s: %s", got.reason, got.message)
			}
		})
	}
}
