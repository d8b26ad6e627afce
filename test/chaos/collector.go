package chaos

import (
	"context"
	"fmt"
	"os"

	"rosey.dev/rosey/hack/waterfall/otlpfile"
	"rosey.dev/rosey/runtime/config"
)

// Collector is an OpenTelemetry Collector to which all bots and database services send their traces.
type Collector struct {
	// Program is its path.
	Program string
	// Config is a configuration that writes traces to the file traces.json. The ports in it are replaced.
	Config string
	// Forward is the URL of a receiver to which it sends the traces as well. Empty: none.
	Forward string
}

// ownKeys are added to every configuration: ports of its own, and no metrics of the Collector itself, which would be at
// a port of their own, too.
const ownKeys = `
receivers:
  otlp:
    protocols:
      http: {endpoint: "127.0.0.1:%s"}
      grpc: {endpoint: "127.0.0.1:%s"}
service:
  telemetry: {metrics: {level: none}}
`

// forwardKeys follow ownKeys if the Collector sends what it receives to another receiver. It sends batches, and writes
// their sizes into its log.
const forwardKeys = `  pipelines:
    traces: {processors: [batch], exporters: [file, debug, otlp_http]}
processors:
  batch: {timeout: 200ms}
exporters:
  debug: {}
  otlp_http: {endpoint: "%s", compression: none}
`

// startCollector starts the Collector, if there is one. Its files are in the directory of all others.
func (p *Processes) startCollector(ctx context.Context) (err error) {
	if p.setup.Collector == nil {
		return nil
	}
	if p.otlpHTTP, err = p.freePort(); err != nil {
		return err
	}
	if p.otlpGRPC, err = p.freePort(); err != nil {
		return err
	}
	own := fmt.Sprintf(ownKeys, p.otlpHTTP, p.otlpGRPC)
	if url := p.setup.Collector.Forward; url != "" {
		own += fmt.Sprintf(forwardKeys, url)
	}
	for file, text := range map[string]string{"collector.yaml": p.setup.Collector.Config, "own.yaml": own} {
		if err := os.WriteFile(p.path(file), []byte(text), 0o600); err != nil {
			return fmt.Errorf("writing the configuration of the Collector: %w", err)
		}
	}
	p.collector = startChild(ctx, p.dir, &child{
		name: "collector", program: p.setup.Collector.Program, dir: p.dir,
		// The second file takes precedence in each key that both have.
		args: []string{"--config", "collector.yaml", "--config", "own.yaml"},
	})
	p.closers = append(p.closers, p.collector.stop)
	return nil
}

// telemetry returns the keys of a configuration with which a member sends its traces to the Collector, bots by one
// protocol and database services by the other.
func (p *Processes) telemetry(command string) string {
	switch {
	case p.setup.Collector == nil:
		return ""
	case command == "bot":
		return fmt.Sprintf("telemetry: {endpoint: '%s', protocol: %s}\n", p.tracesURL(), config.OTLPHTTP)
	default:
		return fmt.Sprintf("telemetry: {endpoint: 'http://127.0.0.1:%s', protocol: %s}\n", p.otlpGRPC, config.OTLPGRPC)
	}
}

// tracesURL returns where the Collector receives traces over HTTP.
func (p *Processes) tracesURL() string { return "http://127.0.0.1:" + p.otlpHTTP }

// traces returns the spans that the Collector has written.
func (p *Processes) traces() ([]otlpfile.Span, error) {
	file, err := os.Open(p.path("traces.json"))
	if err != nil {
		return nil, fmt.Errorf("opening the file of the Collector: %w", err)
	}
	defer func() { _ = file.Close() }()
	spans, err := otlpfile.Read(file)
	if err != nil {
		return nil, fmt.Errorf("reading the file of the Collector: %w", err)
	}
	return spans, nil
}
