// Command waterfall draws one trace as an SVG: a bar for each span, below its parent. It reads lines of OTLP in JSON on
// standard input, as the file exporter of an OpenTelemetry Collector writes them.
//
//	go run ./hack/waterfall [-root NAME] [-trace ID] < traces.json > trace.svg
package main

import (
	"bufio"
	"cmp"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"html"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
)

func main() {
	root := flag.String("root", "receive chatMsg", "draw the first trace whose root has this `name`")
	trace := flag.String("trace", "", "draw the trace with this `ID`")
	flag.Parse()
	spans, err := read(os.Stdin)
	if err == nil {
		err = draw(os.Stdout, spans, *root, *trace)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "waterfall:", err)
		os.Exit(1)
	}
}

// span is a span as OTLP writes it in JSON: times are decimal numbers of nanoseconds as texts.
type span struct {
	TraceID string `json:"traceId"`
	SpanID  string `json:"spanId"`
	Parent  string `json:"parentSpanId"`
	Name    string `json:"name"`
	Start   nanos  `json:"startTimeUnixNano"`
	End     nanos  `json:"endTimeUnixNano"`
	Events  []struct {
		Time nanos  `json:"timeUnixNano"`
		Name string `json:"name"`
	} `json:"events"`

	service string
	depth   int
}

// nanos is a time in nanoseconds.
type nanos int64

// UnmarshalJSON reads a number with or without quotes.
func (n *nanos) UnmarshalJSON(data []byte) error {
	value, err := strconv.ParseInt(strings.Trim(string(data), `"`), 10, 64)
	if err != nil {
		return fmt.Errorf("time %s: expected nanoseconds", data)
	}
	*n = nanos(value)
	return nil
}

// export is one line.
type export struct {
	ResourceSpans []struct {
		Resource struct {
			Attributes []struct {
				Key   string `json:"key"`
				Value struct {
					Text string `json:"stringValue"`
				} `json:"value"`
			} `json:"attributes"`
		} `json:"resource"`
		ScopeSpans []struct {
			Spans []span `json:"spans"`
		} `json:"scopeSpans"`
	} `json:"resourceSpans"`
}

const maxLineBytes = 64 << 20

func read(in io.Reader) (spans []span, err error) {
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, maxLineBytes)
	for lines.Scan() {
		var one export
		if err := json.Unmarshal(lines.Bytes(), &one); err != nil {
			return nil, fmt.Errorf("reading a line of OTLP in JSON: %w", err)
		}
		for _, resource := range one.ResourceSpans {
			service := ""
			for _, attribute := range resource.Resource.Attributes {
				if attribute.Key == "service.name" {
					service = attribute.Value.Text
				}
			}
			for _, scope := range resource.ScopeSpans {
				for _, each := range scope.Spans {
					each.service = service
					spans = append(spans, each)
				}
			}
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("reading traces: %w", err)
	}
	return spans, nil
}

// order returns the spans of a trace in the order of the picture: each before its children, by their beginning.
func order(spans []span, root, trace string) (ordered []span, err error) {
	slices.SortFunc(spans, func(a, b span) int { return cmp.Compare(a.Start, b.Start) })
	first := slices.IndexFunc(spans, func(s span) bool {
		return trace == "" && s.Parent == "" && s.Name == root || trace != "" && s.TraceID == trace
	})
	if first < 0 {
		return nil, errors.New("there is no such trace")
	}
	id := spans[first].TraceID
	known := map[string]bool{}
	for _, each := range spans {
		known[each.SpanID] = true
	}
	var add func(parent string, depth int)
	add = func(parent string, depth int) {
		for _, each := range spans {
			isTop := parent == "" && !known[each.Parent]
			if each.TraceID == id && (each.Parent == parent || isTop) {
				each.depth = depth
				ordered = append(ordered, each)
				add(each.SpanID, depth+1)
			}
		}
	}
	add("", 0)
	return ordered, nil
}

// Sizes of the picture in pixels.
const (
	rowHeight = 26
	names     = 340 // the width of the names
	bars      = 520
	margin    = 12
	header    = 34
)

// colors are those of the services, in the order in which they appear.
var colors = []string{"#2f6fde", "#c2571a", "#2c8a57", "#8a4fbf"}

func draw(out io.Writer, spans []span, root, trace string) error {
	ordered, err := order(spans, root, trace)
	if err != nil {
		return err
	}
	begin, end := ordered[0].Start, ordered[0].End
	for _, each := range ordered {
		begin, end = min(begin, each.Start), max(end, each.End)
	}
	scale := float64(bars) / float64(max(end-begin, 1))
	at := func(t nanos) float64 { return names + margin + float64(t-begin)*scale }
	width, height := names+bars+2*margin+80, header+rowHeight*len(ordered)+margin
	var svg strings.Builder
	fmt.Fprintf(&svg, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %[1]d %[2]d" `+
		`font-family="sans-serif" font-size="12">`+"\n", width, height)
	fmt.Fprintf(&svg, `<rect width="%d" height="%d" fill="#ffffff"/>`+"\n", width, height)
	color := map[string]string{}
	x := margin
	for _, each := range ordered {
		if color[each.service] == "" {
			color[each.service] = colors[len(color)%len(colors)]
			fmt.Fprintf(&svg, `<rect x="%d" y="10" width="12" height="12" fill="%s"/><text x="%d" y="20">%s</text>`+"\n",
				x, color[each.service], x+18, html.EscapeString(each.service))
			x += 150
		}
	}
	for i, each := range ordered {
		y := header + i*rowHeight
		left, long := at(each.Start), max(float64(each.End-each.Start)*scale, 1.5)
		fmt.Fprintf(&svg, `<text x="%d" y="%d">%s</text>`, margin+each.depth*14, y+16, html.EscapeString(each.Name))
		fmt.Fprintf(&svg, `<rect x="%.1f" y="%d" width="%.1f" height="14" rx="2" fill="%s"/>`,
			left, y+5, long, color[each.service])
		for _, event := range each.Events {
			fmt.Fprintf(&svg, `<circle cx="%.1f" cy="%d" r="3" fill="#111111"><title>%s</title></circle>`,
				at(event.Time), y+12, html.EscapeString(event.Name))
		}
		fmt.Fprintf(&svg, `<text x="%.1f" y="%d" fill="#555555">%.2f ms</text>`+"\n",
			left+long+5, y+16, float64(each.End-each.Start)/1e6)
	}
	svg.WriteString("</svg>\n")
	if _, err := io.WriteString(out, svg.String()); err != nil {
		return fmt.Errorf("writing the picture: %w", err)
	}
	return nil
}
