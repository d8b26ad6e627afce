package main

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/remotecommand"

	"rosey.dev/rosey/runtime/exit"
	"rosey.dev/rosey/test/logtest"
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
	var all []net.Conn
	go func() {
		defer close(ended)
		for {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			all = append(all, connection)
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
		for _, connection := range all {
			_ = connection.Close()
		}
	})
	return &cluster{config: config, kube: kube, namespace: films}, accepted
}

// hanging is the pod of a kubelet that hangs.
func hanging() *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: films, Name: "hangs"},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "bot"}}},
	}
}

// runInHanging runs a program in the pod of a kubelet that hangs.
func runInHanging(ctx context.Context, silent *cluster) error {
	return silent.exec(ctx, hanging(), remotecommand.StreamOptions{Stdout: io.Discard}, "rosey")
}

// expectEnd checks that something ends with its context.
func expectEnd(t *testing.T, ended <-chan error) {
	t.Helper()
	select {
	case err := <-ended:
		if !errors.Is(err, context.Canceled) {
			t.Errorf("it has failed with: %v", err)
		}
	case <-time.After(20 * time.Second):
		t.Error("it still waits for the pod")
	}
}

// A kubelet, or a proxy in front of the API server, that hangs must not hold a command after Ctrl-C or its timeout, and
// nothing goes on in secret.
func TestConnectionsToPodsEndWithTheirContextBeforeTheyAreAnswered(t *testing.T) {
	t.Parallel()
	for name, connect := range map[string]func(context.Context, *cluster) error{
		"forward": func(ctx context.Context, silent *cluster) error {
			_, err := silent.forwardPort(ctx, hanging(), 0, 8080)
			return err
		},
		"exec": runInHanging,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			silent, accepted := silentCluster(t)
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			ended := make(chan error, 1)
			go func() { ended <- connect(ctx, silent) }()
			connection := <-accepted
			if _, err := connection.Read(make([]byte, 1)); err != nil { // it waits for the answer now
				t.Fatal(err)
			}
			stop()
			expectEnd(t, ended)
			if err := connection.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
				t.Fatal(err)
			}
			if _, err := io.Copy(io.Discard, connection); err != nil {
				t.Errorf("the connection is not closed: %v", err)
			}
			// After the end of ctx nothing is dialled at all.
			if err := connect(ctx, silent); !errors.Is(err, context.Canceled) {
				t.Errorf("after the end: %v", err)
			}
			if len(accepted) > 0 {
				t.Error("a pod was dialled after the end")
			}
		})
	}
}

// A proxy that refuses WebSockets may hang when SPDY comes.
func TestExecEndsWithItsContextWhileSPDYIsNotAnswered(t *testing.T) {
	t.Parallel()
	silent, accepted := silentCluster(t)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- runInHanging(ctx, silent) }()
	socket := <-accepted
	if _, err := io.WriteString(socket, "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	spdy := <-accepted // the end of the test closes it
	if _, err := spdy.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	stop()
	expectEnd(t, ended)
}

// Nothing interrupts the read of a terminal, so the command must not wait for it.
func TestAQuestionEndsWithTheFirstInterrupt(t *testing.T) {
	t.Parallel()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	in, typed := io.Pipe()
	defer func() { _ = typed.Close() }()
	stdout, stderr := &logtest.Buffer{}, &logtest.Buffer{}
	ended := make(chan int, 1)
	go func() {
		ended <- run(ctx, []string{"dead", "drop", "movienight", "--all"}, streams{in: in, out: stdout, err: stderr})
	}()
	waitFor(t, func() bool { return strings.Contains(stderr.String(), "Type yes to go on: ") })
	stop()
	if code := <-ended; code != exit.Failure || !strings.Contains(stderr.String(), "interrupted: nothing was changed") {
		t.Errorf("exit code %d, %s", code, stderr)
	}
}
