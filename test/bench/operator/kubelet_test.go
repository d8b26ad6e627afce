package main

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// A pod that was removed after its turn had come, by another worker or while many change, ended the benchmark.
func TestAPodThatIsGoneIsNotHandled(t *testing.T) {
	k := newKubelet(nil, func(*corev1.Pod) behaviour { return healthy("127.0.0.1") })
	defer k.queue.ShutDown()
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "bench", Name: "gone"}}
	k.see(pod)
	key, _ := k.queue.Get()
	k.mu.Lock()
	delete(k.pods, key)
	k.mu.Unlock()
	if err := k.handle(t.Context(), key, 0); err != nil || key != client.ObjectKeyFromObject(pod) {
		t.Errorf("handling %s: %v", key, err)
	}
}
