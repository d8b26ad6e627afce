package controllers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strconv"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"

	"rosey.dev/rosey/api/v1alpha1"
	"rosey.dev/rosey/controllers/manifests"
	"rosey.dev/rosey/runtime/config"
)

const (
	probeTimeout = 2 * time.Second
	// maxReport is far above what a process says of itself.
	maxReport = 64 << 10
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
	report config.Report
	err    error
}

// ask gets the words of each component whose newest pod runs and is not ready. The kubelet asks the ready ones; of
// several bots one is asked who is in the channel.
func (p Prober) ask(ctx context.Context, bot *v1alpha1.RoseyBot, seen observed) map[manifests.Component]answer {
	answers := map[manifests.Component]answer{}
	for _, component := range []manifests.Component{manifests.Bot, manifests.Database} {
		pod := seen.newestPod(component)
		leads := component == manifests.Bot && manifests.Standby(bot)
		if pod == nil || podReady(pod) && !leads || !started(pod) || pod.Status.PodIP == "" {
			continue
		}
		report, err := p.get(ctx, pod.Status.PodIP, config.Component(component))
		answers[component] = answer{report: report, err: err}
	}
	return answers
}

// started says whether the startup probe of a running container succeeded.
func started(pod *corev1.Pod) bool {
	for _, status := range pod.Status.ContainerStatuses {
		if status.State.Running != nil && status.Started != nil && *status.Started {
			return true
		}
	}
	return false
}

func (p Prober) get(ctx context.Context, host string, component config.Component) (config.Report, error) {
	target := url.URL{Scheme: "http", Host: net.JoinHostPort(host, strconv.Itoa(p.port)), Path: config.StatusPath}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, target.String(), nil)
	if err != nil {
		return config.Report{}, fmt.Errorf("no such address: %w", err)
	}
	response, err := p.client.Do(request)
	if err != nil {
		return config.Report{}, plain(err)
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return config.Report{}, fmt.Errorf("HTTP status %d", response.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, maxReport))
	if err != nil {
		return config.Report{}, plain(err)
	}
	return decode(body, component)
}

// validReason is what the API server takes as a condition's reason.
var validReason = regexp.MustCompile(`^[A-Za-z]([A-Za-z0-9_,:]{0,98}[A-Za-z0-9_])?$`)

// decode refuses what is not a Report of the component: the image is the user's choice and may serve anything.
func decode(body []byte, component config.Component) (config.Report, error) {
	var report config.Report
	if err := json.Unmarshal(body, &report); err != nil {
		return config.Report{}, errors.New("not the JSON of a report")
	}
	if report.Component != component {
		return config.Report{}, fmt.Errorf("a report of %q instead of %q", report.Component, component)
	}
	if len(report.Leader) > validation.DNS1123SubdomainMaxLength {
		return config.Report{}, errors.New("a report with a leader that is not a pod's name")
	}
	reasons := []config.Reason{report.Reason}
	for _, check := range report.Checks {
		reasons = append(reasons, check.Reason)
	}
	for _, reason := range reasons {
		if !validReason.MatchString(string(reason)) {
			return config.Report{}, errors.New("a report with a reason that is not one word")
		}
	}
	return report, nil
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
