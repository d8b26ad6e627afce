package controllers

import (
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"rosey.dev/rosey/api/v1alpha1"
	"rosey.dev/rosey/controllers/manifests"
	"rosey.dev/rosey/runtime/config"
)

// newOrphanedPage returns a RoseyBot whose web page runs, and whose owner of the shared database service is gone.
func newOrphanedPage(t *testing.T) *v1alpha1.RoseyBot {
	t.Helper()
	namespace := newNamespace(t)
	owner, sharer := newBot(namespace), newSharer(namespace, "cartoons")
	sharer.Spec.Web = &v1alpha1.Web{Enabled: new(true), Public: new(true)}
	create(t, owner)
	create(t, sharer)
	waitReplicas(t, sharer, "cartoons-web", 1)
	if err := rig.admin.Delete(t.Context(), owner); err != nil {
		t.Fatal(err)
	}
	waitExpected(t, sharer, expected{
		v1alpha1.ConditionWebAvailable, "False", v1alpha1.ReasonSharedOwnerMissing, "RoseyBot movienight does not exist",
	})
	return sharer
}

// A suspended RoseyBot has no web page, whatever became of the owner of the database service: it would never be done.
func TestSuspendedWebPageDoesNotRunOnWithoutTheOwner(t *testing.T) {
	sharer := newOrphanedPage(t)
	change(t, sharer, func() { sharer.Spec.Suspend = new(true) })
	waitReplicas(t, sharer, "cartoons-web", 0)
	rollOut(t, sharer)
	waitCondition(t, sharer, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonSuspended)
	waitCondition(t, sharer, v1alpha1.ConditionWebAvailable, metav1.ConditionFalse, v1alpha1.ReasonSuspended)
}

// Who closes a web page must not find it open because the owner of the database service is missing.
func TestClosedWebPageDoesNotStayOpenWithoutTheOwner(t *testing.T) {
	sharer := newOrphanedPage(t)
	change(t, sharer, func() { sharer.Spec.Web.Enabled = new(false) })
	for _, object := range []client.Object{&appsv1.Deployment{}, &corev1.Service{}, &networkingv1.NetworkPolicy{}} {
		waitGone(t, object, sharer.Namespace, "cartoons-web")
	}
	waitNoCondition(t, sharer, v1alpha1.ConditionWebAvailable)
	configuration, err := get(t.Context(), &corev1.ConfigMap{}, sharer.Namespace, "cartoons-config")
	if err != nil {
		t.Fatalf("what the bot needs is deleted too: %v", err)
	}
	if configuration.Data[config.BotFile] == "" {
		t.Error("the bot has no configuration")
	}
}

// A web page that runs without the owner may restart: then it must find how to connect, and where.
func TestRunningWebPageKeepsItsConfigurationWithoutTheOwner(t *testing.T) {
	sharer := newOrphanedPage(t)
	change(t, sharer, func() { sharer.Spec.Replicas = new(int32(0)) })
	waitReplicas(t, sharer, manifests.Name(sharer, manifests.Bot), 0) // which is written after the ConfigMap
	waitReplicas(t, sharer, "cartoons-web", 1)
	configuration, err := get(t.Context(), &corev1.ConfigMap{}, sharer.Namespace, "cartoons-config")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"url: " + newBot("").Spec.NATS.URL, "rosey_" + sharer.Namespace + "_movienight"} {
		if !strings.Contains(configuration.Data[config.WebFile], want) {
			t.Errorf("no %q in the configuration of the web page:\n%s", want, configuration.Data[config.WebFile])
		}
	}
}
