package controllers

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"syscall"
	"time"

	"rosey.dev/rosey/api/v1alpha1"
	"rosey.dev/rosey/controllers/manifests"
	"rosey.dev/rosey/runtime/status"
)

const (
	probeTimeout = 2 * time.Second
	maxReport    = 64 << 10 // far above what a process says of itself
)

// Prober asks processes why they are not ready.
type Prober struct {
	client *http.Client
	port   int
}

// NewProber returns a Prober that asks at a port of the pods.
func NewProber(port int) Prober {
	return Prober{port: port, client: &http.Client{
		Timeout: probeTimeout,
		// Pods are asked directly: a proxy could not reach them.
		Transport: &http.Transport{DisableKeepAlives: true},
		// An image chosen by a user must not send the operator somewhere else.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// answer is what a process said of itself, or why it could not be asked.
type answer struct {
	report status.Report
	err    error
}

// ask gets the words of each component whose newest pod runs and is not ready. The kubelet asks the ready ones; of
// several bots one is asked who is in the channel.
func (p Prober) ask(ctx context.Context, bot *v1alpha1.RoseyBot, seen observed) map[manifests.Component]answer {
	answers := map[manifests.Component]answer{}
	for _, component := range []manifests.Component{manifests.Bot, manifests.Database} {
		pod := seen.newestPod(component)
		leads := component == manifests.Bot && manifests.Standby(bot)
		if pod == nil || podReady(pod) && !leads || !running(pod, true) || pod.Status.PodIP == "" {
			continue
		}
		report, err := p.get(ctx, pod.Status.PodIP, status.Component(component))
		answers[component] = answer{report: report, err: err}
	}
	return answers
}

func (p Prober) get(ctx context.Context, host string, component status.Component) (status.Report, error) {
	target := url.URL{Scheme: "http", Host: net.JoinHostPort(host, strconv.Itoa(p.port)), Path: status.StatusPath}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, target.String(), nil)
	if err != nil {
		return status.Report{}, fmt.Errorf("no such address: %w", err)
	}
	response, err := p.client.Do(request)
	if err != nil {
		return status.Report{}, plain(err)
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return status.Report{}, fmt.Errorf("HTTP status %d", response.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, maxReport))
	if err != nil {
		return status.Report{}, plain(err)
	}
	return status.ParseReport(body, component)
}

// plain drops addresses and ports from an error, which would make each message a new one.
func plain(err error) error {
	if os.IsTimeout(err) {
		return fmt.Errorf("no answer within %s", probeTimeout)
	}
	if number, ok := errors.AsType[syscall.Errno](err); ok {
		return number
	}
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		return wrapped.Err
	}
	return err
}
