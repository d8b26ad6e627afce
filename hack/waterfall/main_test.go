package main

import (
	"strings"
	"testing"
)

// one returns a line of OTLP with one span.
func one(service, id, parent, name, start, end string) string {
	return `{"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"` + service +
		`"}}]},"scopeSpans":[{"spans":[{"traceId":"t","spanId":"` + id + `","parentSpanId":"` + parent + `","name":"` +
		name + `","startTimeUnixNano":"` + start + `","endTimeUnixNano":` + end + `}]}]}]}` + "\n"
}

func TestDrawing(t *testing.T) {
	// The service may send before the bot, and a child may begin before its sibling that was received first.
	in := one("db", "c", "a", "second <child>", "30", "40") + one("db", "b", "a", "first", "20", "30") +
		one("bot", "a", "", "root", "10", "50")
	spans, err := read(strings.NewReader(in))
	if err != nil {
		t.Fatal(err)
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
	if _, err := read(strings.NewReader("no JSON\n")); err == nil {
		t.Error("text was read as traces")
	}
}
