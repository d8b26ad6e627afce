package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/tools/portforward"
	"k8s.io/client-go/transport/spdy"
	"k8s.io/streaming/pkg/httpstream"

	"rosey.dev/rosey/runtime/exit"
	"rosey.dev/rosey/runtime/status"
)

// forward is a port of this machine whose connections end at a port of a pod. They reach the pod through the kubelet,
// so a NetworkPolicy does not stop them.
type forward struct {
	// address is the local host and port.
	address string
	// ended gets the error with which the forwarding has ended.
	ended chan error
	stop  context.CancelFunc
}

// close ends the forwarding and waits for its end.
func (f *forward) close() {
	f.stop()
	for range f.ended { // an error of one that was ended on purpose is none
	}
}

// loopback is where a forwarded port listens: nobody else on the network is to reach the pod by it.
const loopback = "127.0.0.1"

// dialTimeout bounds how long it takes to reach a pod.
const dialTimeout = 15 * time.Second

// errDialTimeout is the cause of a forwarding that was not reached in time.
var errDialTimeout = fmt.Errorf("the pod was not reached within %v", dialTimeout)

// forwardPort begins to forward a port of a pod. local is the port of this machine, and 0 for any. It returns at the
// latest when ctx ends, or after dialTimeout.
func (c *cluster) forwardPort(ctx context.Context, pod *corev1.Pod, local, remote int) (*forward, error) {
	dialing, reached := context.WithTimeoutCause(ctx, dialTimeout, errDialTimeout)
	defer reached()
	if dialing.Err() != nil {
		return nil, exit.Failedf("forwarding port %d of pod %s: %w", remote, pod.Name, context.Cause(dialing))
	}
	forwarding, stop := context.WithCancel(ctx)
	dialer, err := c.forwardDialer(forwarding, pod)
	if err != nil {
		stop()
		return nil, err
	}
	ready, problems := make(chan struct{}), &bytes.Buffer{}
	forwarder, err := portforward.NewOnAddressesForStreamingWithContext(forwarding, dialer, []string{loopback},
		[]string{fmt.Sprintf("%d:%d", local, remote)}, ready, io.Discard, problems)
	if err != nil {
		stop()
		return nil, exit.Failedf("forwarding port %d of pod %s: %w", remote, pod.Name, err)
	}
	f := &forward{ended: make(chan error, 1), stop: stop}
	go func() {
		f.ended <- forwarder.ForwardPorts()
		close(f.ended)
	}()
	select {
	case err := <-f.ended:
		stop()
		if err == nil {
			err = context.Cause(ctx)
		}
		return nil, c.explain(ctx, fmt.Errorf("forwarding port %d of pod %s: %w", remote, pod.Name, err), forwardPorts)
	case <-dialing.Done():
		// With SPDY, client-go dials without a context. The goroutine above owns what it gets late, and closes it then.
		stop()
		return nil, exit.Failedf("forwarding port %d of pod %s: %w", remote, pod.Name, context.Cause(dialing))
	case <-ready:
	}
	ports, err := forwarder.GetPorts()
	if err == nil && len(ports) == 0 {
		err = errors.New("no port")
	}
	if err != nil {
		f.close()
		return nil, exit.Failedf("forwarding port %d of pod %s: %w", remote, pod.Name, err)
	}
	f.address = loopback + ":" + strconv.Itoa(int(ports[0].Local))
	return f, nil
}

// forwardDialer returns what connects to a pod, as kubectl does it: by a WebSocket, or by SPDY where the API server, or
// a proxy in front of it, does not speak that.
func (c *cluster) forwardDialer(ctx context.Context, pod *corev1.Pod) (httpstream.Dialer, error) {
	address := c.kube.CoreV1().RESTClient().Post().
		Resource("pods").Namespace(pod.Namespace).Name(pod.Name).SubResource("portforward").URL()
	transport, upgrader, err := spdy.RoundTripperFor(c.config)
	if err != nil {
		return nil, exit.Failedf("preparing to forward a port: %w", err)
	}
	tunnel, err := portforward.NewSPDYOverWebsocketDialerForStreaming(address, interruptible(ctx, c.config))
	if err != nil {
		return nil, exit.Failedf("preparing to forward a port: %w", err)
	}
	plain := spdy.NewDialerForStreaming(upgrader, &http.Client{Transport: transport}, http.MethodPost, address)
	return portforward.NewFallbackDialerForStreaming(tunnel, plain, needsSPDY), nil
}

func needsSPDY(err error) bool {
	return httpstream.IsUpgradeFailure(err) || httpstream.IsHTTPSProxyError(err)
}

// statusPort returns the port of a pod at which its process serves its status, and 0 if it serves none.
func statusPort(pod *corev1.Pod) int {
	if len(pod.Spec.Containers) == 0 {
		return 0
	}
	for _, port := range pod.Spec.Containers[containerOf(pod)].Ports {
		if port.Name == "http" {
			return int(port.ContainerPort)
		}
	}
	return 0
}

// withProcess calls use with the URL of the HTTP server of a pod's process.
func (c *cluster) withProcess(ctx context.Context, pod *corev1.Pod, use func(url string) error) error {
	forwarded, err := c.forwardPort(ctx, pod, 0, statusPort(pod))
	if err != nil {
		return err
	}
	defer forwarded.close()
	return use("http://" + forwarded.address)
}

// report returns what the process of a pod says of itself.
func (c *cluster) report(ctx context.Context, pod *corev1.Pod) (report status.Report, err error) {
	err = c.withProcess(ctx, pod, func(url string) error {
		client := status.NewClient(nil)
		client.Timeout = processTimeout
		var err error
		report, err = status.FetchReport(ctx, client, url+status.StatusPath, "")
		return exit.Failed(err)
	})
	return report, err
}
