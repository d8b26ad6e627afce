package chaos

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"rosey.dev/rosey/hack/waterfall/otlpfile"
	"rosey.dev/rosey/runtime/store/postgres/pgtest"
	"rosey.dev/rosey/runtime/telemetry/otlptest"
	"rosey.dev/rosey/test/porttest"
	"rosey.dev/rosey/test/processtest"
)

const repository = "../.."

// document is the section of docs/observability.md about a Collector: its configuration, and the commands.
type document struct{ config, run, draw string }

func readDocument(t *testing.T) (d document) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(repository, "docs", "observability.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(text), "\n## In five minutes with a Collector\n")
	section, _, _ = strings.Cut(section, "\n## ")
	blocks := regexp.MustCompile("(?s)```(?:yaml|sh)\n(.*?)\n```").FindAllStringSubmatch(section, -1)
	if len(blocks) != 3 {
		t.Fatalf("docs/observability.md: %d blocks about a Collector, want its configuration and two commands", len(blocks))
	}
	return document{config: blocks[0][1], run: blocks[1][1], draw: blocks[2][1]}
}

// newCollector returns a Collector with the configuration of the document.
func newCollector(t *testing.T, of document) *Collector {
	t.Helper()
	if os.Getenv("ROSEY_CHAOS_COLLECTOR") == "" {
		t.Skip("builds a Collector and takes minutes: make chaos SETUPS=traces")
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(cache, "rosey", "tools", "otelcol")
	if _, err := os.Stat(program); err != nil {
		t.Fatal(err) // make chaos builds it
	}
	return &Collector{Program: program, Config: of.config}
}

// Bots and database services send their traces to a real Collector while faults happen, also to the Collector. Nothing
// that was said is lost. The Collector's file has whole traces of lines that were said meanwhile, and of each line that
// was said without a fault, and so has the receiver to which the Collector sends them.
func TestCollectorBesideFaults(t *testing.T) {
	collector := newCollector(t, readDocument(t))
	if _, err := pgtest.Programs(); err != nil {
		t.Skip(err)
	}
	options := settings(t, 6, 0)
	behind := otlptest.HTTP(t)
	collector.Forward = behind.URL
	world := Start(t, Setup{Bots: 2, Databases: 2, JetStream: true, Postgres: true, Collector: collector})
	if len(options.Only) == 0 {
		// A run may be too short for all kinds of faults.
		first := options
		first.Only, first.Duration, first.Seed = []Kind{KillCollector, PauseCollector}, options.Duration/5, options.Seed+1
		play(t, world, first)
	}
	play(t, world, options)

	stored, err := world.Stored(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	spans, err := world.traces()
	if err != nil {
		t.Fatal(err)
	}
	traced, whole := lineTraces(spans, time.Unix(0, 0))
	t.Logf("of %d lines that are stored, the Collector has %d traces, %d of them whole; it was started %d times",
		len(stored.Chat), len(traced), len(whole), world.collector.startCount())
	if len(whole) < len(stored.Chat)/10 {
		t.Error("fewer than a tenth of the lines have a whole trace")
	}

	since := time.Now()
	if err := world.cytube.Join(t.Context(), "ivy"); err != nil {
		t.Fatal(err)
	}
	for i := range 5 {
		if err := world.cytube.Say(t.Context(), "ivy", fmt.Sprint("the bells ", i)); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the whole trace of a line", func(context.Context) (err error) {
			if spans, err = world.traces(); err != nil {
				return err
			}
			if traced, whole = lineTraces(spans, since); len(whole) <= i {
				return fmt.Errorf("of %d lines, %d have a trace and %d a whole one", i+1, len(traced), len(whole))
			}
			return nil
		})
	}
	behind.Await(t, "the same traces behind the Collector", func(received []otlptest.Span) bool {
		have := map[spanID]bool{}
		for _, span := range received {
			have[spanID{span.Trace(), span.ID()}] = true
		}
		return !slices.ContainsFunc(spans, func(span otlpfile.Span) bool {
			return slices.Contains(whole, span.Trace) && !have[spanID{span.Trace, span.ID}]
		})
	})
	keepTraces(t, world, whole[len(whole)-1])
}

type spanID struct{ trace, span string }

// children are the spans that have a span as their parent or a link to it.
type children map[spanID][]otlpfile.Span

// lead reports whether there are spans of which each is a child of the one before, the first one of parent, whose names
// begin like this.
func (c children) lead(parent spanID, names ...string) bool {
	return len(names) == 0 || slices.ContainsFunc(c[parent], func(span otlpfile.Span) bool {
		return strings.HasPrefix(span.Name, names[0]) && c.lead(spanID{span.Trace, span.ID}, names[1:]...)
	})
}

// lineTraces returns the traces of chat lines that a bot has received after a time, and those of them which are whole,
// from the socket to the committed row and the acknowledgement to the stream.
func lineTraces(spans []otlpfile.Span, since time.Time) (all, whole []string) {
	below := children{}
	for _, span := range spans {
		parent := spanID{span.Trace, span.Parent}
		below[parent] = append(below[parent], span)
		for _, link := range span.Links {
			if linked := (spanID{link.Trace, link.ID}); linked != parent {
				below[linked] = append(below[linked], span)
			}
		}
	}
	for _, span := range spans {
		if span.Name != "receive chatMsg" || int64(span.Start) < since.UnixNano() {
			continue
		}
		all = append(all, span.Trace)
		root := spanID{span.Trace, span.ID}
		if below.lead(root, "send ", "process", "transaction", "INSERT chat") &&
			below.lead(root, "send ", "process", "ack") {
			whole = append(whole, span.Trace)
		}
	}
	return all, whole
}

// keepTraces copies the Collector's file to where ROSEY_CHAOS_TRACES says, and logs how a trace in it is drawn.
func keepTraces(t *testing.T, world *Processes, trace string) {
	t.Helper()
	path := os.Getenv("ROSEY_CHAOS_TRACES")
	if path == "" {
		return
	}
	text, err := os.ReadFile(world.path("traces.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Logf("to draw the trace of a line: go run ./hack/waterfall -trace %s < %s > docs/trace.svg", trace, path)
}

// The steps of docs/observability.md lead to a picture of a line's trace.
func TestCollectorInFiveMinutes(t *testing.T) {
	steps := readDocument(t)
	world := Start(t, Setup{Collector: newCollector(t, steps)})
	address := porttest.FreeAddress(t)
	startDocumented(t, steps.run, world, address)
	bot := &member{child: &child{name: "rosey run"}, http: address}
	eventually(t, "the bot is ready", bot.ready)
	mychannel := &CyTube{Client: http.DefaultClient, Base: world.cytube.Base, Channel: "mychannel"}
	if err := mychannel.Join(t.Context(), "ivy"); err != nil {
		t.Fatal(err)
	}
	if err := mychannel.Say(t.Context(), "ivy", "anybody there?"); err != nil {
		t.Fatal(err)
	}
	picture := filepath.Join(t.TempDir(), "trace.svg")
	command := strings.NewReplacer("< traces.json", "< "+world.path("traces.json"), "> trace.svg", "> "+picture).
		Replace(steps.draw)
	eventually(t, "the picture", func(ctx context.Context) error {
		draw := exec.CommandContext(ctx, "sh", "-c", command)
		draw.Dir = repository
		if out, err := draw.CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w: %s", command, err, out)
		}
		svg, err := os.ReadFile(picture)
		if err == nil && !bytes.Contains(svg, []byte(">INSERT chat<")) {
			err = fmt.Errorf("the line that was stored is not in the picture: %s", svg)
		}
		return err
	})
}

// startDocumented starts the bot as the document says, which names a server of its own and other addresses here.
func startDocumented(t *testing.T, command string, world *Processes, address string) {
	t.Helper()
	const endpoint = "OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4318"
	words := strings.Fields(command)
	if len(words) < 3 || words[0] != endpoint || words[1] != "rosey" {
		t.Fatalf("the document starts the bot by %q, want %s rosey …", command, endpoint)
	}
	args := append(words[2:], "--server", world.cytube.Base, "--data", t.TempDir(), "--http", address)
	bot := exec.CommandContext(t.Context(), world.programs.Rosey, args...)
	bot.Env = append(os.Environ(), strings.Replace(endpoint, "http://127.0.0.1:4318", world.tracesURL(), 1))
	processtest.Start(t, bot)
}
