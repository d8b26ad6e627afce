package publisher_test

import (
	"context"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"rosey.dev/rosey/runtime/bus/natstest"
	"rosey.dev/rosey/runtime/publisher"
	"rosey.dev/rosey/runtime/status"
	"rosey.dev/rosey/runtime/telemetry"
	"rosey.dev/rosey/runtime/telemetry/otlptest"
)

// A message that has waited for NATS would otherwise have a long span that does not say why.
func TestAnOutageOfNATSIsInTheTraceOfAMessage(t *testing.T) {
	receiver := otlptest.HTTP(t)
	provider, err := telemetry.Setup(telemetry.Options{
		Settings: telemetry.Settings{Endpoint: receiver.URL}, Log: natstest.Log(t), Registerer: prometheus.NewRegistry(),
	})
	must(t, err)
	t.Cleanup(func() { provider.Shutdown(context.Background()) })
	server := natstest.Start(t)
	p := runPublisher(t, publisher.Options{Conn: connect(t, server.URL())})
	client := server.Client()
	s := startService(t, client)
	joined(p, "before")
	waitForNames(t, s, []string{"before"})
	server.Stop()
	waitForReason(t, p.Check, status.ReasonServiceAbsent)
	joined(p, "during")
	server.Restart()
	natstest.Eventually(t, "the service's connection", client.IsConnected)
	waitForNames(t, s, []string{"before", "during"})
	must(t, p.Flush(t.Context()))
	provider.Shutdown(t.Context())

	spans := receiver.Spans()
	if len(spans) == 0 {
		t.Fatal("there are no spans")
	}
	var names []string
	events := spans[len(spans)-1].Events
	for _, event := range events {
		names = append(names, event.Name)
	}
	if len(names) != 2 || names[0] != "not delivered" || names[1] != "trying again" ||
		events[0].Attributes[0].GetValue().GetStringValue() != "not_connected" {
		t.Errorf("events are %v, want that the message waited for the connection", events)
	}
}
