package telemetry

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"golang.org/x/time/rate"

	"rosey.dev/rosey/runtime/status"
)

const (
	// remoteRate and remoteBurst bound the traces that others had begun and decided to send. Who may publish on a subject
	// of the database service chooses the header traceparent, and could otherwise have the service send everything that
	// it does to the receiver.
	remoteRate  = 100 // a second
	remoteBurst = 500
)

// sampler returns what decides which spans are sent.
func (s Settings) sampler() (sdktrace.Sampler, error) {
	if s.SamplingRatio != nil {
		if ratio := *s.SamplingRatio; !isRatio(ratio) {
			return nil, fmt.Errorf("telemetry.samplingRatio: %v, expected a number from 0 to 1", ratio)
		}
		return parentBased(sdktrace.TraceIDRatioBased(*s.SamplingRatio)), nil
	}
	return samplerFromEnvironment()
}

// samplerFromEnvironment does what the SDK does, except that an invalid value is an error.
func samplerFromEnvironment() (sdktrace.Sampler, error) {
	ratio, err := ratioFromEnvironment()
	if err != nil {
		return nil, err
	}
	const name = "OTEL_TRACES_SAMPLER"
	switch text := strings.ToLower(strings.TrimSpace(os.Getenv(name))); text {
	case "always_on":
		return sdktrace.AlwaysSample(), nil
	case "always_off":
		return sdktrace.NeverSample(), nil
	case "traceidratio":
		return sdktrace.TraceIDRatioBased(ratio), nil
	case "", "parentbased_always_on":
		return parentBased(sdktrace.AlwaysSample()), nil
	case "parentbased_always_off":
		return parentBased(sdktrace.NeverSample()), nil
	case "parentbased_traceidratio":
		return parentBased(sdktrace.TraceIDRatioBased(ratio)), nil
	default:
		return nil, fmt.Errorf("%s: %q, expected always_on, always_off, traceidratio, or one of these after parentbased_",
			name, status.OneLine(text, maxErrorText))
	}
}

func ratioFromEnvironment() (float64, error) {
	const name = "OTEL_TRACES_SAMPLER_ARG"
	text := strings.TrimSpace(os.Getenv(name))
	if text == "" {
		return 1, nil
	}
	ratio, err := strconv.ParseFloat(text, 64)
	if err != nil || !isRatio(ratio) {
		return 0, fmt.Errorf("%s: %q, expected a number from 0 to 1", name, status.OneLine(text, maxErrorText))
	}
	return ratio, nil
}

// isRatio is false for NaN too.
func isRatio(ratio float64) bool { return ratio >= 0 && ratio <= 1 }

// parentBased returns a sampler that decides by root about traces that begin here, and for all others as the parent,
// within the bounds above.
func parentBased(root sdktrace.Sampler) sdktrace.Sampler {
	limit := boundedSampler{rate.NewLimiter(remoteRate, remoteBurst)}
	return sdktrace.ParentBased(root, sdktrace.WithRemoteParentSampled(limit))
}

// boundedSampler samples as often as its limiter allows.
type boundedSampler struct{ limiter *rate.Limiter }

// ShouldSample implements sdktrace.Sampler.
func (s boundedSampler) ShouldSample(p sdktrace.SamplingParameters) sdktrace.SamplingResult {
	if s.limiter.Allow() {
		return sdktrace.AlwaysSample().ShouldSample(p)
	}
	return sdktrace.NeverSample().ShouldSample(p)
}

// Description implements sdktrace.Sampler.
func (s boundedSampler) Description() string { return fmt.Sprintf("AtMost{%d/s}", remoteRate) }
