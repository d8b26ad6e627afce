// Command waterfall draws one trace as an SVG: a bar for each span, below its parent. It reads lines of OTLP in JSON on
// standard input, as the file exporter of an OpenTelemetry Collector writes them.
//
//	go run ./hack/waterfall [-root NAME] [-trace ID] < traces.json > trace.svg
package main

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"html"
	"io"
	"os"
	"slices"
	"strings"

	"rosey.dev/rosey/hack/waterfall/otlpfile"
)

func main() {
	root := flag.String("root", "receive chatMsg", "draw the largest trace whose root has this `name`")
	trace := flag.String("trace", "", "draw the trace with this `ID`")
	flag.Parse()
	spans, err := otlpfile.Read(os.Stdin)
	if err == nil {
		err = draw(os.Stdout, spans, *root, *trace)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "waterfall:", err)
		os.Exit(1)
	}
}

// row is a span in the picture, with the number of its ancestors there.
type row struct {
	otlpfile.Span

	depth int
}

// key is what identifies a span.
type key struct{ trace, span string }

func keyOf(span otlpfile.Span) key { return key{span.Trace, span.ID} }

// order returns the spans of a trace in the order of the picture: each before its children, by their beginning. A batch
// that has a link to a span is drawn like a child of it, also if it is in the trace of another message. What a process
// has sent is not trusted: a span that is its own ancestor is drawn once, like all others.
func order(spans []otlpfile.Span, root, trace string) (rows []row, err error) {
	if trace == "" {
		trace = largest(spans, root)
	}
	slices.SortStableFunc(spans, func(a, b otlpfile.Span) int { return cmp.Compare(a.Start, b.Start) })
	exists, children := map[key]bool{}, childrenOf(spans)
	for _, span := range spans {
		exists[keyOf(span)] = true
	}
	drawn := map[key]bool{}
	var add func(span otlpfile.Span, depth int)
	add = func(span otlpfile.Span, depth int) {
		if drawn[keyOf(span)] {
			return
		}
		drawn[keyOf(span)] = true
		rows = append(rows, row{span, depth})
		for _, child := range children[keyOf(span)] {
			add(child, depth+1)
		}
	}
	of := slices.DeleteFunc(slices.Clone(spans), func(s otlpfile.Span) bool { return s.Trace != trace })
	for _, span := range of {
		if !exists[key{trace, span.Parent}] {
			add(span, 0)
		}
	}
	for _, span := range of {
		add(span, 0) // each of these is its own ancestor
	}
	if len(rows) == 0 {
		return nil, errors.New("there is no such trace")
	}
	return rows, nil
}

// childrenOf returns the spans that have a span as their parent or a link to it, in their order.
func childrenOf(spans []otlpfile.Span) map[key][]otlpfile.Span {
	children := map[key][]otlpfile.Span{}
	for _, span := range spans {
		parent := key{span.Trace, span.Parent}
		children[parent] = append(children[parent], span)
		for _, link := range span.Links {
			if linked := (key{link.Trace, link.ID}); linked != parent {
				children[linked] = append(children[linked], span)
			}
		}
	}
	return children
}

// largest returns the trace that has the most spans of those whose root has this name: the first one may be that of a
// line which was ignored.
func largest(spans []otlpfile.Span, root string) (trace string) {
	sizes := map[string]int{}
	for _, span := range spans {
		sizes[span.Trace]++
	}
	for _, span := range spans {
		if span.Parent == "" && span.Name == root && sizes[span.Trace] > sizes[trace] {
			trace = span.Trace
		}
	}
	return trace
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

func draw(out io.Writer, spans []otlpfile.Span, root, trace string) error {
	ordered, err := order(spans, root, trace)
	if err != nil {
		return err
	}
	begin, end := ordered[0].Start, ordered[0].End
	for _, each := range ordered {
		begin, end = min(begin, each.Start), max(end, each.End)
	}
	scale := float64(bars) / float64(max(end-begin, 1))
	at := func(t otlpfile.Nanos) float64 { return names + margin + float64(t-begin)*scale }
	width, height := names+bars+2*margin+80, header+rowHeight*len(ordered)+margin
	var svg strings.Builder
	fmt.Fprintf(&svg, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %[1]d %[2]d" `+
		`font-family="sans-serif" font-size="12">`+"\n", width, height)
	fmt.Fprintf(&svg, `<rect width="%d" height="%d" fill="#ffffff"/>`+"\n", width, height)
	color := map[string]string{}
	x := margin
	for _, each := range ordered {
		if color[each.Service] == "" {
			color[each.Service] = colors[len(color)%len(colors)]
			fmt.Fprintf(&svg, `<rect x="%d" y="10" width="12" height="12" fill="%s"/><text x="%d" y="20">%s</text>`+"\n",
				x, color[each.Service], x+18, html.EscapeString(each.Service))
			x += 150
		}
	}
	for i, each := range ordered {
		y := header + i*rowHeight
		left, long := at(each.Start), max(float64(each.End-each.Start)*scale, 1.5)
		fmt.Fprintf(&svg, `<text x="%d" y="%d">%s</text>`, margin+each.depth*14, y+16, html.EscapeString(each.Name))
		fmt.Fprintf(&svg, `<rect x="%.1f" y="%d" width="%.1f" height="14" rx="2" fill="%s"/>`,
			left, y+5, long, color[each.Service])
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
