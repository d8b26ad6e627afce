package main

import (
	"context"
	"errors"
	"net"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

// silentCluster returns a cluster whose API server accepts connections and says nothing, and what gets each of them.
func silentCluster(t *testing.T) (silent *cluster, accepted chan net.Conn) {
	t.Helper()
	listener, err := net.Listen("tcp", loopback+":0")
	if err != nil {
		t.Fatal(err)
	}
	accepted = make(chan net.Conn, 10)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			accepted <- connection
		}
	}()
	config := &rest.Config{Host: "http://" + listener.Addr().String()}
	kube, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = listener.Close()
		<-ended
		close(accepted)
		for connection := range accepted {
			_ = connection.Close()
		}
	})
	return &cluster{config: config, kube: kube, namespace: films}, accepted
}

// A kubelet, or a proxy in front of the API server, that hangs must not hold a command after Ctrl-C or its timeout.
func TestForwardingEndsWithItsContextWhilePodsAreDialled(t *testing.T) {
	t.Parallel()
	silent, accepted := silentCluster(t)
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: films, Name: "hangs"}}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	failed := make(chan error, 1)
	go func() {
		_, err := silent.forwardPort(ctx, pod, 0, 8080)
		failed <- err
	}()
	connection := <-accepted
	stop()
	select {
	case err := <-failed:
		if !errors.Is(err, context.Canceled) {
			t.Errorf("it has failed with: %v", err)
		}
	case <-time.After(20 * time.Second):
		t.Error("it still waits for the pod")
	}
	_ = connection.Close() // ends the goroutine that dials

	// After the end of ctx nothing is dialled at all.
	if _, err := silent.forwardPort(ctx, pod, 0, 8080); !errors.Is(err, context.Canceled) {
		t.Errorf("after the end: %v", err)
	}
	if len(accepted) > 0 {
		t.Error("a pod was dialled after the end")
	}
}
