package controllers

import (
	"fmt"
	"testing"
	"unsafe"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"rosey.dev/rosey/api/v1alpha1"
	"rosey.dev/rosey/controllers/manifests"
)

// cached returns the objects of a RoseyBot as the cache keeps them, by kind: those of its bot.
func cached(t *testing.T, name string, edit func(*v1alpha1.RoseyBot)) map[string]client.Object {
	t.Helper()
	bot := newBot("fun")
	bot.Name = name
	edit(bot)
	desired, err := manifests.Build(bot, manifests.Params{Image: testImage}, manifests.Observed{})
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]client.Object{}
	for _, next := range desired {
		object, _ := next.Object.DeepCopyObject().(client.Object)
		trim(object)
		if next.Component == manifests.Bot {
			found[manifests.KeyOf(object).Kind] = object
		}
	}
	return found
}

// A cache of 1,000 RoseyBots must not have 1,000 copies of the same container. Others are not taken for it.
func TestCachedObjectsShareEqualParts(t *testing.T) {
	containers := func(objects map[string]client.Object) *corev1.Container {
		deployment, _ := objects["Deployment"].(*appsv1.Deployment)
		return unsafe.SliceData(deployment.Spec.Template.Spec.Containers)
	}
	ports := func(objects map[string]client.Object) *corev1.ServicePort {
		service, _ := objects["Service"].(*corev1.Service)
		return unsafe.SliceData(service.Spec.Ports)
	}
	rules := func(objects map[string]client.Object) *networkingv1.NetworkPolicyEgressRule {
		policy, _ := objects["NetworkPolicy"].(*networkingv1.NetworkPolicy)
		return unsafe.SliceData(policy.Spec.Egress)
	}
	same := func(*v1alpha1.RoseyBot) {}
	one, two := cached(t, "one", same), cached(t, "two", same)
	if containers(one) != containers(two) || ports(one) != ports(two) || rules(one) != rules(two) {
		t.Error("two RoseyBots with the same settings have two copies of their containers, ports or rules")
	}
	if owners := one["Service"].GetOwnerReferences(); &owners[0] != &one["Deployment"].GetOwnerReferences()[0] {
		t.Error("two objects of a RoseyBot have two copies of their owner")
	}
	if owners := one["Service"].GetOwnerReferences(); &owners[0] == &two["Service"].GetOwnerReferences()[0] {
		t.Error("objects of two RoseyBots have the same owner")
	}
	other := cached(t, "three", func(bot *v1alpha1.RoseyBot) { bot.Spec.Image = "rosey.example/other" })
	if containers(one) == containers(other) {
		t.Error("two images are taken for one")
	}
}

// Whoever creates and deletes many objects does not fill the memory with what they had.
func TestSharedPartsAreBounded(t *testing.T) {
	known := &sharedParts{}
	for number := range 10 * maxSharedMemory / maxSharedPart {
		known.use([32]byte{byte(number), byte(number >> 8)}, fmt.Sprint(number), maxSharedPart)
	}
	if most := 2 * maxSharedMemory / maxSharedPart; len(known.recent)+len(known.older) > most || len(known.older) == 0 {
		t.Errorf("%d and %d parts are remembered, want at most %d", len(known.recent), len(known.older), most)
	}
}
