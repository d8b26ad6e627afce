package main

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	traces "go.opentelemetry.io/proto/otlp/trace/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"rosey.dev/rosey/api/v1alpha1"
	"rosey.dev/rosey/controllers/manifests"
	"rosey.dev/rosey/runtime/telemetry/otlptest"
)

// startReceiver starts a receiver of traces that accepts requests and does not respond before it is released, and has
// the operator send traces to it.
func startReceiver(t *testing.T) (receiver *otlptest.Receiver, release func()) {
	t.Helper()
	released, cancel := context.WithCancel(t.Context())
	receiver = otlptest.HTTP(t)
	receiver.AnswerWith(func(ctx context.Context) error {
		select {
		case <-released.Done():
		case <-ctx.Done():
		}
		return nil
	})
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.URL)
	t.Setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
	t.Setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "3600000") // more than the test may take
	t.Setenv("OTEL_BSP_SCHEDULE_DELAY", "1")
	return receiver, cancel
}

// hang has a receiver not respond any more, and waits until a reconcile that fails has led to a request to it: the
// operator then has spans that it cannot send.
func hang(t *testing.T, admin client.Client, receiver *otlptest.Receiver) {
	t.Helper()
	asked := make(chan struct{}, 1)
	receiver.AnswerWith(func(ctx context.Context) error {
		select {
		case asked <- struct{}{}:
		default:
		}
		<-ctx.Done()
		return ctx.Err()
	})
	bot := &v1alpha1.RoseyBot{ObjectMeta: metav1.ObjectMeta{Namespace: "watched", Name: "movienight"}}
	patch := client.RawPatch(types.MergePatchType, []byte(
		`{"spec":{"resources":{"requests":{"cpu":"2"},"limits":{"cpu":"1"}}}}`))
	if err := admin.Patch(t.Context(), bot, patch); err != nil {
		t.Fatal(err)
	}
	select {
	case <-asked:
	case <-time.After(time.Minute):
		t.Fatal("no spans are sent")
	}
}

// runPod creates a pod of a bot whose process does not respond.
func runPod(t *testing.T, admin client.Client, namespace string) {
	t.Helper()
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "movienight-bot-x", Labels: map[string]string{
			manifests.LabelRoseyBot: "movienight", manifests.LabelComponent: string(manifests.Bot),
			manifests.LabelManagedBy: manifests.ManagedBy,
		}},
		Spec: corev1.PodSpec{NodeName: "node", Containers: []corev1.Container{{Name: "bot", Image: "rosey:v1"}}},
	}
	create(t, admin, pod)
	const unused = "127.9.8.7"
	pod.Status = corev1.PodStatus{
		Phase: corev1.PodRunning, PodIP: unused, PodIPs: []corev1.PodIP{{IP: unused}},
		ContainerStatuses: []corev1.ContainerStatus{{
			Name: "bot", Started: new(true), State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}},
		}},
	}
	if err := admin.Status().Update(t.Context(), pod); err != nil {
		t.Fatal(err)
	}
}

// checkTraces waits for the spans of a reconcile: it has written a Deployment and the status, and asked the pod.
func checkTraces(t *testing.T, receiver *otlptest.Receiver) {
	t.Helper()
	named := func(spans []otlptest.Span, name string) (found []otlptest.Span) {
		return slices.DeleteFunc(slices.Clone(spans), func(span otlptest.Span) bool { return span.Name != name })
	}
	const (
		makes  = "POST /apis/apps/v1/namespaces/{namespace}/deployments"
		writes = "PUT /apis/rosey.dev/v1alpha1/namespaces/{namespace}/roseybots/{name}/status"
		asks   = "GET /status"
	)
	parentsOf := func(spans []otlptest.Span, name string) (first otlptest.Span, parents []otlptest.Span) {
		found := named(spans, name)
		if len(found) == 0 {
			return first, nil
		}
		return found[0], slices.DeleteFunc(named(spans, "reconcile RoseyBot"), func(one otlptest.Span) bool {
			return one.ID() != found[0].Parent() || one.Trace() != found[0].Trace()
		})
	}
	// A reconcile is sent after it has ended, which may be in a later request than what it has done.
	spans := receiver.Await(t, "spans of writes and a probe, and of their reconciles", func(spans []otlptest.Span) bool {
		return !slices.ContainsFunc([]string{makes, writes, asks}, func(name string) bool {
			_, parents := parentsOf(spans, name)
			return len(parents) == 0
		})
	})
	for name, want := range map[string]any{makes: int64(201), writes: int64(200), asks: nil} {
		span, parents := parentsOf(spans, name)
		if len(parents) != 1 || span.Kind != traces.Span_SPAN_KIND_CLIENT || span.Service != "rosey-operator" {
			t.Errorf("%v\nhas the parents %v in\n%s", span, parents, otlptest.Describe(spans))
			continue
		}
		parent := parents[0]
		if parent.Parent() != "" || parent.Attribute("k8s.namespace.name") != "watched" ||
			parent.Attribute("rosey.roseybot.name") != "movienight" || parent.Attribute("rosey.reconcile.id") == "" {
			t.Errorf("the reconcile is %v", parent)
		}
		if status := span.Attribute("http.response.status_code"); status != want {
			t.Errorf("%s: status %v, want %v", name, status, want)
		}
		if failed := span.Status.GetCode() == traces.Status_STATUS_CODE_ERROR; failed != (want == nil) {
			t.Errorf("%s: status %v", name, span.Status)
		}
	}
	for _, span := range spans {
		if strings.Contains(span.Name, "leases") || span.Parent() == "" && span.Name != "reconcile RoseyBot" {
			t.Errorf("a trace of something that is no reconcile: %v", span)
		}
	}
}
