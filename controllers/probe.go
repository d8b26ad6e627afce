package controllers

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"rosey.dev/rosey/api/v1alpha1"
	"rosey.dev/rosey/controllers/manifests"
	"rosey.dev/rosey/runtime/status"
)

const (
	probeTimeout = 2 * time.Second
	// maxReportSize limits the memory that an image chosen by a user can make the operator use.
	maxReportSize = 64 << 10
)

// Prober asks pods for their status reports.
type Prober struct {
	client *http.Client
	port   int
}

// NewProber returns a Prober that connects to a port of the pods.
func NewProber(port int) Prober {
	return Prober{port: port, client: &http.Client{
		Timeout: probeTimeout,
		// The zero Proxy: a proxy cannot reach pods.
		Transport: &http.Transport{DisableKeepAlives: true},
		// An image chosen by a user must not be able to redirect the operator to another server.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// probeResult is the report of a process, or the reason why there is none.
type probeResult struct {
	report status.Report
	err    error
}

// probeAll returns the report of each component whose newest pod has started and is not ready. Ready pods need not be
// asked, because the kubelet probes them; but with several bots, one is asked which of them is the leader.
func (p Prober) probeAll(
	ctx context.Context, bot *v1alpha1.RoseyBot, observed observed,
) map[manifests.Component]probeResult {
	results := map[manifests.Component]probeResult{}
	for _, component := range []manifests.Component{manifests.Bot, manifests.Database} {
		pod := observed.newestPod(component)
		needsLeader := component == manifests.Bot && manifests.Standby(bot)
		if pod == nil || podReady(pod) && !needsLeader || !podStarted(pod) || pod.Status.PodIP == "" {
			continue
		}
		report, err := p.probe(ctx, pod.Status.PodIP, status.Component(component))
		results[component] = probeResult{report: report, err: err}
	}
	return results
}

// probe reads the report of one process.
func (p Prober) probe(ctx context.Context, host string, component status.Component) (status.Report, error) {
	target := url.URL{Scheme: "http", Host: net.JoinHostPort(host, strconv.Itoa(p.port)), Path: status.StatusPath}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, target.String(), nil)
	if err != nil {
		return status.Report{}, fmt.Errorf("invalid address: %w", err)
	}
	response, err := p.client.Do(request)
	if err != nil {
		return status.Report{}, probeError(err)
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return status.Report{}, fmt.Errorf("HTTP status %d", response.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, maxReportSize))
	if err != nil {
		return status.Report{}, probeError(err)
	}
	return status.ParseReport(body, component)
}

// probeError returns an error without addresses and ports. They differ from pod to pod and from attempt to attempt, and
// each new message would be a write of the status.
func probeError(err error) error {
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		err = wrapped.Err
	}
	return errors.New(status.NetworkError(err))
}
