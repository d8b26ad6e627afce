package main

import (
	"fmt"
	"strings"
	"testing"

	"rosey.dev/rosey/hack/waterfall/otlpfile"
)

// one returns a line of OTLP with one span.
func one(service, id, parent, name, start, end string) string {
	return `{"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"` + service +
		`"}}]},"scopeSpans":[{"spans":[{"traceId":"t","spanId":"` + id + `","parentSpanId":"` + parent + `","name":"` +
		name + `","startTimeUnixNano":"` + start + `","endTimeUnixNano":` + end + `}]}]}]}` + "\n"
}

func TestDrawing(t *testing.T) {
	// The service may send before the bot, and a child may begin before its sibling that was received first. The bot has
	// sent its span twice, and the Collector was killed while it wrote.
	root := one("bot", "a", "", "root", "10", "50")
	in := one("db", "c", "a", "second <child>", "30", "40") + root[:40] + "\n" +
		one("db", "b", "a", "first", "20", "30") + root + root
	spans, err := otlpfile.Read(strings.NewReader(in))
	if err != nil {
		t.Fatal(err)
	}
	if len(spans) != 3 {
		t.Errorf("%d spans were read, want each once: %+v", len(spans), spans)
	}
	var out strings.Builder
	if err := draw(&out, spans, "root", ""); err != nil {
		t.Fatal(err)
	}
	at := 0
	for _, want := range []string{">bot<", ">db<", ">root<", ">first<", ">second &lt;child&gt;<"} {
		next := strings.Index(out.String()[at:], want)
		if next < 0 {
			t.Fatalf("%q is missing, or out of order:\n%s", want, out.String())
		}
		at += next
	}
	if err := draw(&out, spans, "other", ""); err == nil {
		t.Error("a trace was drawn that does not exist")
	}
	for _, text := range []string{"", "no JSON\n"} {
		if _, err := otlpfile.Read(strings.NewReader(text)); err == nil {
			t.Errorf("%q was read as traces", text)
		}
	}
}

// The batch in which a line is stored is in the trace of another message, which is the first one of the batch.
func TestBatchOfAnotherTraceIsDrawn(t *testing.T) {
	const link = `"links":[{"traceId":"t","spanId":"b"}],"name":"process"`
	in := one("bot", "a", "", "root", "10", "50") + one("bot", "b", "a", "send", "11", "50") +
		strings.NewReplacer(`"traceId":"t"`, `"traceId":"other"`).Replace(one("db", "d", "c", "transaction", "22", "40")) +
		strings.NewReplacer(`"name":"process"`, link, `"traceId":"t"`, `"traceId":"other"`).
			Replace(one("db", "c", "x", "process", "20", "50"))
	spans, err := otlpfile.Read(strings.NewReader(in))
	if err != nil {
		t.Fatal(err)
	}
	rows, err := order(spans, "root", "")
	if err != nil || len(rows) != 4 || rows[3].Name != "transaction" || rows[3].depth != 3 {
		t.Errorf("drawn as %+v (%v)", rows, err)
	}
}

// A process that sends whatever it likes does not make the picture endless.
func TestSpansThatAreTheirOwnAncestorsAreDrawnOnce(t *testing.T) {
	for name, in := range map[string]string{
		"its own parent":    one("s", "a", "a", "A", "1", "2"),
		"two in a ring":     one("s", "a", "b", "A", "1", "2") + one("s", "b", "a", "B", "1", "2"),
		"below another one": one("s", "r", "", "R", "1", "2") + one("s", "a", "a", "A", "1", "2"),
		"no ID":             one("s", "", "", "A", "1", "2"),
	} {
		spans, err := otlpfile.Read(strings.NewReader(in))
		if err != nil {
			t.Fatal(err)
		}
		rows, err := order(spans, "", "t")
		if err != nil || len(rows) != len(spans) {
			t.Errorf("%s: drawn %s of %d spans (%v)", name, fmt.Sprint(rows), len(spans), err)
		}
	}
}
