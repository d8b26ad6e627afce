package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"rosey.dev/rosey/api/v1alpha1"
	"rosey.dev/rosey/controllers/manifests"
	"rosey.dev/rosey/runtime/backoff"
)

// workers is the number of objects created at once. The operator reconciles as many RoseyBots at once.
const workers = 4

// sampleName occurs in every name and label of the sample's objects, where copies replace it.
const sampleName = "sample-name-of-a-bot"

// kinds are the kinds of a RoseyBot's objects.
var kinds = []schema.GroupVersionKind{
	{Version: "v1", Kind: "ConfigMap"},
	{Version: "v1", Kind: "PersistentVolumeClaim"},
	{Version: "v1", Kind: "Service"},
	{Version: "v1", Kind: "ServiceAccount"},
	{Group: "apps", Version: "v1", Kind: "Deployment"},
	{Group: "networking.k8s.io", Version: "v1", Kind: "NetworkPolicy"},
}

var ofRoseyBots = client.HasLabels{"rosey.dev/roseybot"}

// newBot returns a RoseyBot whose pods are scheduled to simulated nodes.
func newBot(namespace, name string) *v1alpha1.RoseyBot {
	return &v1alpha1.RoseyBot{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec: v1alpha1.RoseyBotSpec{
			Channel: v1alpha1.Channel{Name: "bench"},
			NATS:    &v1alpha1.NATS{URL: "nats://nats.bench.svc:4222"},
			Scheduling: v1alpha1.Scheduling{
				NodeSelector: map[string]v1alpha1.LabelValue{"rosey.local/simulated": "true"},
				Tolerations: []corev1.Toleration{
					{Key: "rosey.local/simulated", Operator: corev1.TolerationOpExists},
				},
			},
		},
	}
}

func createNamespace(ctx context.Context, on client.Client, name string) error {
	space := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
	if err := on.Create(ctx, space); err != nil {
		return fmt.Errorf("creating namespace %s: %w", name, err)
	}
	return nil
}

// countOwned counts the objects of RoseyBots in a namespace. It reads only their metadata.
func countOwned(ctx context.Context, on client.Client, namespace string) (int, error) {
	total := 0
	for _, kind := range kinds {
		list := &metav1.PartialObjectMetadataList{}
		list.SetGroupVersionKind(kind)
		if err := on.List(ctx, list, client.InNamespace(namespace), ofRoseyBots); err != nil {
			return 0, fmt.Errorf("listing %s: %w", kind.Kind, err)
		}
		total += len(list.Items)
	}
	return total, nil
}

// sample returns the JSON of each object that the operator creates for one RoseyBot, without the API server's
// additions. It creates a namespace for it.
func (s system) sample(ctx context.Context, namespace string) ([][]byte, error) {
	if err := createNamespace(ctx, s.admin, namespace); err != nil {
		return nil, err
	}
	if err := s.admin.Create(ctx, newBot(namespace, sampleName)); err != nil {
		return nil, fmt.Errorf("creating the sample: %w", err)
	}
	if err := s.seen.waitStatuses(ctx, namespace, 1); err != nil { // the first one is written after the objects
		return nil, err
	}
	var out [][]byte
	for _, kind := range kinds {
		list := &unstructured.UnstructuredList{}
		list.SetGroupVersionKind(kind)
		if err := s.admin.List(ctx, list, client.InNamespace(namespace), ofRoseyBots); err != nil {
			return nil, fmt.Errorf("listing %s: %w", kind.Kind, err)
		}
		for _, object := range list.Items {
			text, err := json.Marshal(cleaned(&object).Object)
			if err != nil {
				return nil, fmt.Errorf("encoding %s: %w", object.GetName(), err)
			}
			out = append(out, text)
		}
	}
	return out, nil
}

// cleaned returns the object as a client would send it.
func cleaned(object *unstructured.Unstructured) *unstructured.Unstructured {
	for _, field := range []string{"uid", "resourceVersion", "generation", "creationTimestamp", "managedFields",
		"ownerReferences", "finalizers"} {
		unstructured.RemoveNestedField(object.Object, "metadata", field)
	}
	unstructured.RemoveNestedField(object.Object, "status")
	for _, field := range []string{"volumeName", "clusterIP", "clusterIPs"} {
		unstructured.RemoveNestedField(object.Object, "spec", field)
	}
	unstructured.RemoveNestedField(object.Object, "metadata", "annotations")
	object.SetNamespace("plain")
	return object
}

// notOurs replaces the label of the operator's objects, which it would otherwise keep in memory.
var notOurs = strings.NewReplacer(fmt.Sprintf("%q:%q", manifests.LabelManagedBy, manifests.ManagedBy),
	fmt.Sprintf("%q:%q", manifests.LabelManagedBy, "plain-client"))

// copyOf returns the sample's object with another name.
func copyOf(sample []byte, name string) (*unstructured.Unstructured, error) {
	object := &unstructured.Unstructured{}
	text := notOurs.Replace(strings.ReplaceAll(string(sample), sampleName, name))
	if err := json.Unmarshal([]byte(text), &object.Object); err != nil {
		return nil, fmt.Errorf("copying the sample: %w", err)
	}
	return object, nil
}

// inParallel calls do for 0 to count-1 with a few workers, and returns the first error.
func inParallel(count int, do func(i int) error) error {
	numbers := make(chan int)
	failed := make(chan error, workers)
	var group sync.WaitGroup
	for range workers {
		group.Go(func() {
			var first error
			for i := range numbers {
				if err := do(i); err != nil && first == nil {
					first = err
				}
			}
			failed <- first
		})
	}
	for i := range count {
		numbers <- i
	}
	close(numbers)
	group.Wait()
	close(failed)
	for err := range failed {
		if err != nil {
			return err
		}
	}
	return nil
}

// longestWait is how long something may take on a busy machine.
const longestWait = 30 * time.Minute

// until polls done ten times per second.
func until(ctx context.Context, what string, done func() (bool, error)) error {
	return untilEvery(ctx, 100*time.Millisecond, what, done)
}

func untilEvery(ctx context.Context, pause time.Duration, what string, done func() (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, longestWait)
	defer cancel()
	for {
		if ok, err := done(); err != nil || ok {
			return err
		}
		if !backoff.Sleep(ctx, pause) {
			return fmt.Errorf("waiting until %s: %w", what, ctx.Err())
		}
	}
}
