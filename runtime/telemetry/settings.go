package telemetry

import (
	"cmp"
	"fmt"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"rosey.dev/rosey/runtime/config"
	"rosey.dev/rosey/runtime/status"
)

const (
	defaultExportTimeout = 10 * time.Second // that of the SDK
	maxErrorText         = 300
)

// Settings are what the configuration says about traces. A zero value leaves the decision to the environment variables
// of OpenTelemetry; what is set here takes precedence over them.
type Settings struct {
	// Endpoint is the URL of the receiver, http or https, as in OTEL_EXPORTER_OTLP_ENDPOINT: with config.OTLPHTTP,
	// v1/traces is appended to its path. If it is empty and there is no such variable either, tracing is off.
	Endpoint string
	// Protocol is config.OTLPGRPC or config.OTLPHTTP. If it is empty and there is no variable for it, it is
	// config.OTLPHTTP.
	Protocol string
	// SamplingRatio is the part of the traces that begin in this process and are sent, from 0 to 1. Whether one that began
	// elsewhere is sent was decided there. Nil: what OTEL_TRACES_SAMPLER says, otherwise all.
	SamplingRatio *float64
	// HeadersFile is a file with headers for the receiver: name=value pairs with percent-encoded values, separated by
	// commas or line ends. It is read at each export, so that it can change without a restart.
	HeadersFile string
	// TLSDir is a directory with ca.crt and, for a receiver that asks for a client certificate, tls.crt and tls.key. They
	// are read at each connect. Empty: the files that OTEL_EXPORTER_OTLP_CERTIFICATE and its like name, read once.
	TLSDir string
	// ResourceAttributes are added to those that describe the process.
	ResourceAttributes map[string]string
}

// SettingsOf returns what a configuration says about traces.
func SettingsOf(c config.Telemetry) Settings {
	return Settings{
		Endpoint: c.Endpoint, Protocol: c.Protocol, SamplingRatio: c.Ratio(), HeadersFile: c.HeadersFile,
		TLSDir: c.TLSDir, ResourceAttributes: c.Attributes(),
	}
}

// resolved are the settings of a process in which tracing is on.
type resolved struct {
	endpoint  *url.URL // with the whole path of OTLP over HTTP
	protocol  string
	sampler   sdktrace.Sampler
	headers   headersFile
	tls       tlsFiles
	tlsDir    tlsDir
	timeout   time.Duration
	queueSize int
}

// variable returns the value of the first variable of the exporter that is set, and its name. suffixes are the names
// without their common beginning.
func variable(suffixes ...string) (name, value string) {
	for _, suffix := range suffixes {
		name = "OTEL_EXPORTER_OTLP_" + suffix
		if value = strings.TrimSpace(os.Getenv(name)); value != "" {
			return name, value
		}
	}
	return "", ""
}

// resolve returns the settings with those of the environment, and whether tracing is on.
func (s Settings) resolve() (r resolved, on bool, err error) {
	if disabled, err := strconv.ParseBool(cmp.Or(os.Getenv("OTEL_SDK_DISABLED"), "false")); err == nil && disabled {
		return resolved{}, false, nil
	}
	if os.Getenv("OTEL_TRACES_EXPORTER") == "none" {
		return resolved{}, false, nil
	}
	if r.protocol, err = s.protocol(); err != nil {
		return resolved{}, false, err
	}
	if r.endpoint, err = s.endpoint(r.protocol); err != nil || r.endpoint == nil {
		return resolved{}, false, err
	}
	if r.sampler, err = s.sampler(); err != nil {
		return resolved{}, false, err
	}
	if r.timeout, err = exportTimeout(); err != nil {
		return resolved{}, false, err
	}
	if r.queueSize, err = queueSize(); err != nil {
		return resolved{}, false, err
	}
	if err := checkHeaders(); err != nil {
		return resolved{}, false, err
	}
	r.headers, r.tls, r.tlsDir = headersFile(s.HeadersFile), tlsFilesFromEnvironment(), tlsDir(s.TLSDir)
	return r, true, nil
}

func (s Settings) protocol() (string, error) {
	name, value := "telemetry.protocol", s.Protocol
	if value == "" {
		name, value = variable("TRACES_PROTOCOL", "PROTOCOL")
	}
	switch value {
	case "", config.OTLPHTTP:
		return config.OTLPHTTP, nil
	case config.OTLPGRPC:
		return config.OTLPGRPC, nil
	}
	return "", fmt.Errorf("%s: %q, expected %s or %s", name, status.OneLine(value, maxErrorText),
		config.OTLPGRPC, config.OTLPHTTP)
}

// endpoint returns nil without an endpoint. Those that others take precedence over have to be valid too: the SDK reads
// them as well, and logs one that it cannot parse.
func (s Settings) endpoint(protocol string) (*url.URL, error) {
	var chosen *url.URL
	tracesName, traces := variable("TRACES_ENDPOINT")
	commonName, common := variable("ENDPOINT")
	for _, each := range []struct{ name, value string }{
		{"telemetry.endpoint", s.Endpoint}, {tracesName, traces}, {commonName, common},
	} {
		if each.value == "" {
			continue
		}
		endpoint, err := parseEndpoint(each.name, each.value)
		if err != nil {
			return nil, err
		}
		// As the specification of OTLP says, a variable of traces alone has the whole path.
		if protocol == config.OTLPHTTP && each.name != tracesName {
			endpoint = endpoint.JoinPath("v1", "traces")
		}
		chosen = cmp.Or(chosen, endpoint)
	}
	return chosen, nil
}

// parseEndpoint returns errors without the value, which may have a password in it.
func parseEndpoint(name, value string) (*url.URL, error) {
	endpoint, err := url.Parse(value)
	switch {
	case err != nil, endpoint.Scheme != "http" && endpoint.Scheme != "https", endpoint.Hostname() == "":
		return nil, fmt.Errorf("%s: expected the URL of a receiver of OTLP, as in http://collector:4317", name)
	case endpoint.User != nil:
		return nil, fmt.Errorf("%s: expected a URL without user and password; those are headers", name)
	case endpoint.RawQuery != "" || endpoint.Fragment != "":
		return nil, fmt.Errorf("%s: expected a URL without query and fragment", name)
	}
	return endpoint, nil
}

// exportTimeout returns how long one export may take.
func exportTimeout() (time.Duration, error) {
	name, value := variable("TRACES_TIMEOUT", "TIMEOUT")
	if value == "" {
		return defaultExportTimeout, nil
	}
	milliseconds, err := strconv.Atoi(value)
	if err != nil || milliseconds <= 0 || milliseconds > int(time.Hour.Milliseconds()) {
		return 0, fmt.Errorf("%s: %q, expected milliseconds, up to an hour", name, status.OneLine(value, maxErrorText))
	}
	return time.Duration(milliseconds) * time.Millisecond, nil
}

// maxQueueSize bounds OTEL_BSP_MAX_QUEUE_SIZE: a span takes about 1 KiB.
const maxQueueSize = 1 << 16

// maxEvents bounds the events of a span, and MaxLinks its links. Further ones displace the oldest.
const (
	maxEvents = 32
	MaxLinks  = 500
)

// spanLimits returns what the variables of OpenTelemetry say, and the limits above where there is none: the SDK's own
// are too few for the links of a batch, and too many events for a process that holds thousands of spans.
func spanLimits() sdktrace.SpanLimits {
	limits := sdktrace.NewSpanLimits()
	if os.Getenv("OTEL_SPAN_EVENT_COUNT_LIMIT") == "" {
		limits.EventCountLimit = maxEvents
	}
	if os.Getenv("OTEL_SPAN_LINK_COUNT_LIMIT") == "" {
		limits.LinkCountLimit = MaxLinks
	}
	return limits
}

// queueSize returns how many spans may wait.
func queueSize() (int, error) {
	value := strings.TrimSpace(os.Getenv("OTEL_BSP_MAX_QUEUE_SIZE"))
	if value == "" {
		return sdktrace.DefaultMaxQueueSize, nil
	}
	size, err := strconv.Atoi(value)
	if err != nil || size < 1 || size > maxQueueSize {
		return 0, fmt.Errorf("OTEL_BSP_MAX_QUEUE_SIZE: %q, expected a number from 1 to %d",
			status.OneLine(value, maxErrorText), maxQueueSize)
	}
	return size, nil
}
