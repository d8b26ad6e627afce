package chart

import (
	"slices"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"

	"rosey.dev/rosey/api/v1alpha1"
	"rosey.dev/rosey/controllers/manifests"
)

// The alerts about bots are about what this PodMonitor has scraped.
func TestPodMonitorFindsTheBots(t *testing.T) {
	monitor := render(t, monitoringAPI)["PodMonitor rosey-system/rosey-operator-bots"]
	if monitor == nil {
		t.Fatal("there is none")
	}
	wanted, _, err := unstructured.NestedStringMap(monitor.Object, "spec", "selector", "matchLabels")
	if err != nil || len(wanted) == 0 {
		t.Fatalf("matchLabels are %v: %v", wanted, err)
	}
	endpoints, _, err := unstructured.NestedSlice(monitor.Object, "spec", "podMetricsEndpoints")
	if err != nil || len(endpoints) != 1 {
		t.Fatalf("endpoints are %v: %v", endpoints, err)
	}
	port := endpoints[0].(map[string]any)["port"]
	set, err := manifests.Build(&v1alpha1.RoseyBot{
		ObjectMeta: metav1.ObjectMeta{Name: "fun", Namespace: "films"},
		Spec: v1alpha1.RoseyBotSpec{
			Channel: v1alpha1.Channel{Name: "fun"}, NATS: &v1alpha1.NATS{URL: "nats://nats.nats.svc:4222"},
		},
	}, manifests.Params{Image: "rosey:v1"})
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, object := range slices.Concat(set.Database, set.Bot) {
		deployment, is := object.(*appsv1.Deployment)
		if !is {
			continue
		}
		found++
		pod := deployment.Spec.Template
		if !labels.SelectorFromSet(wanted).Matches(labels.Set(pod.Labels)) {
			t.Errorf("%s: labels %v are not selected by %v", deployment.Name, pod.Labels, wanted)
		}
		if ports := pod.Spec.Containers[0].Ports; len(ports) != 1 || ports[0].Name != port {
			t.Errorf("%s: ports %+v, want %v", deployment.Name, ports, port)
		}
	}
	if found != 2 {
		t.Errorf("%d Deployments, want bot and database service", found)
	}
}

func TestPodMonitorLooksWhereTheOperatorDoes(t *testing.T) {
	monitor := render(t, monitoringAPI, "--set", "watchNamespaces={a,b}")["PodMonitor rosey-system/rosey-operator-bots"]
	names, _, err := unstructured.NestedStringSlice(monitor.Object, "spec", "namespaceSelector", "matchNames")
	if err != nil || !slices.Equal(names, []string{"a", "b"}) {
		t.Errorf("namespaces are %v: %v", names, err)
	}
}
