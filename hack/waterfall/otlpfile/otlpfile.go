// Package otlpfile reads spans from a file that the file exporter of an OpenTelemetry Collector has written: each line
// is a request of OTLP in JSON.
package otlpfile

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// Span is a span as OTLP writes it in JSON. IDs are hexadecimal digits.
type Span struct {
	Trace  string `json:"traceId"`
	ID     string `json:"spanId"`
	Parent string `json:"parentSpanId"` // empty for the first span of a trace
	Name   string `json:"name"`
	Start  Nanos  `json:"startTimeUnixNano"`
	End    Nanos  `json:"endTimeUnixNano"`
	Events []struct {
		Time Nanos  `json:"timeUnixNano"`
		Name string `json:"name"`
	} `json:"events"`
	Links []struct {
		Trace string `json:"traceId"`
		ID    string `json:"spanId"`
	} `json:"links"`

	// Service is service.name of the process that has sent it.
	Service string `json:"-"`
}

// Nanos is a time in nanoseconds since 1970.
type Nanos int64

// UnmarshalJSON reads a number with or without quotes.
func (n *Nanos) UnmarshalJSON(data []byte) error {
	value, err := strconv.ParseInt(strings.Trim(string(data), `"`), 10, 64)
	if err != nil {
		return fmt.Errorf("time %s: expected nanoseconds", data)
	}
	*n = Nanos(value)
	return nil
}

// request is one line.
type request struct {
	ResourceSpans []struct {
		Resource   resource `json:"resource"`
		ScopeSpans []struct {
			Spans []Span `json:"spans"`
		} `json:"scopeSpans"`
	} `json:"resourceSpans"`
}

// resource is a process that has sent spans.
type resource struct {
	Attributes []struct {
		Key   string `json:"key"`
		Value struct {
			Text string `json:"stringValue"`
		} `json:"value"`
	} `json:"attributes"`
}

func (r resource) service() (name string) {
	for _, attribute := range r.Attributes {
		if attribute.Key == "service.name" {
			name = attribute.Value.Text
		}
	}
	return name
}

const maxLineBytes = 64 << 20

// Read returns the spans in the order of the file. A span that was sent twice, as after a request that timed out, is
// returned once. Lines that are no OTLP are left out, because a Collector that was killed has cut one off; it is an
// error if there is no other line.
func Read(in io.Reader) ([]Span, error) {
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, maxLineBytes)
	var problem error
	var requests []request
	for lines.Scan() {
		var one request
		if err := json.Unmarshal(lines.Bytes(), &one); err != nil {
			problem = fmt.Errorf("reading a line of OTLP in JSON: %w", err)
			continue
		}
		requests = append(requests, one)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("reading traces: %w", err)
	}
	if len(requests) == 0 {
		return nil, errors.Join(errors.New("there are no traces"), problem)
	}
	return spans(requests), nil
}

func spans(requests []request) (all []Span) {
	type key struct{ trace, id string }
	known := map[key]bool{}
	for _, one := range requests {
		for _, sent := range one.ResourceSpans {
			for _, scope := range sent.ScopeSpans {
				for _, span := range scope.Spans {
					if known[key{span.Trace, span.ID}] {
						continue
					}
					known[key{span.Trace, span.ID}] = true
					span.Service = sent.Resource.service()
					all = append(all, span)
				}
			}
		}
	}
	return all
}
