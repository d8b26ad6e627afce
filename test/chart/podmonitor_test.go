package chart

import (
	"slices"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"

	"rosey.dev/rosey/api/v1alpha1"
	"rosey.dev/rosey/controllers/manifests"
)

// The alerts about bots use the metrics that this PodMonitor scrapes.
func TestPodMonitorSelectsTheBots(t *testing.T) {
	monitor := render(t, monitoringAPI)["PodMonitor rosey-system/rosey-operator-bots"]
	if monitor == nil {
		t.Fatal("the chart has no PodMonitor for bots")
	}
	selector := selectorOf(t, monitor)
	endpoints, _, err := unstructured.NestedSlice(monitor.Object, "spec", "podMetricsEndpoints")
	if err != nil || len(endpoints) != 1 {
		t.Fatalf("endpoints are %v: %v", endpoints, err)
	}
	port := endpoints[0].(map[string]any)["port"]
	for setting, wanted := range map[string]bool{"": true, "Auto": true, "Never": false} {
		for _, pod := range podsOf(t, v1alpha1.Monitoring{PodMonitor: setting}) {
			if selector.Matches(labels.Set(pod.Labels)) != wanted {
				t.Errorf("podMonitor %q: labels %v selected by %v: expected %v", setting, pod.Labels, selector, wanted)
			}
			if ports := pod.Spec.Containers[0].Ports; len(ports) != 1 || ports[0].Name != port {
				t.Errorf("ports %+v, want %v", ports, port)
			}
		}
	}
}

func selectorOf(t *testing.T, monitor *unstructured.Unstructured) labels.Selector {
	t.Helper()
	content, _, err := unstructured.NestedMap(monitor.Object, "spec", "selector")
	if err != nil {
		t.Fatal(err)
	}
	wanted := &metav1.LabelSelector{}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(content, wanted); err != nil {
		t.Fatal(err)
	}
	selector, err := metav1.LabelSelectorAsSelector(wanted)
	if err != nil || selector.Empty() {
		t.Fatalf("selector %v: %v", wanted, err)
	}
	return selector
}

// podsOf returns the pod templates of a RoseyBot's bot and database service.
func podsOf(t *testing.T, monitoring v1alpha1.Monitoring) (pods []corev1.PodTemplateSpec) {
	t.Helper()
	set, err := manifests.Build(&v1alpha1.RoseyBot{
		ObjectMeta: metav1.ObjectMeta{Name: "fun", Namespace: "films"},
		Spec: v1alpha1.RoseyBotSpec{
			Channel: v1alpha1.Channel{Name: "fun"}, NATS: &v1alpha1.NATS{URL: "nats://nats.nats.svc:4222"},
			Monitoring: monitoring,
		},
	}, manifests.Params{Image: "rosey:v1"}, manifests.Observed{})
	if err != nil {
		t.Fatal(err)
	}
	for _, desired := range set {
		if deployment, is := desired.Object.(*appsv1.Deployment); is {
			pods = append(pods, deployment.Spec.Template)
		}
	}
	if len(pods) != 2 {
		t.Fatalf("%d Deployments, want bot and database service", len(pods))
	}
	return pods
}

func TestPodMonitorWatchesTheNamespacesOfTheOperator(t *testing.T) {
	monitor := render(t, monitoringAPI, "--set", "watchNamespaces={a,b}")["PodMonitor rosey-system/rosey-operator-bots"]
	names, _, err := unstructured.NestedStringSlice(monitor.Object, "spec", "namespaceSelector", "matchNames")
	if err != nil || !slices.Equal(names, []string{"a", "b"}) {
		t.Errorf("namespaces are %v: %v", names, err)
	}
}

// A pod of any image decides how many metrics it has, and Prometheus would store them all.
func TestPodMonitorsLimitSamples(t *testing.T) {
	all := render(t, monitoringAPI)
	for name, limit := range map[string]int64{"rosey-operator": 200000, "rosey-operator-bots": 5000} {
		got, _, err := unstructured.NestedInt64(all["PodMonitor rosey-system/"+name].Object, "spec", "sampleLimit")
		if err != nil || got != limit {
			t.Errorf("PodMonitor %s has sampleLimit %d, want %d (%v)", name, got, limit, err)
		}
	}
}
