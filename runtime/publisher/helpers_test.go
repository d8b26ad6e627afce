package publisher_test

import (
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/bus/natstest"
	"rosey.dev/rosey/runtime/config"
	"rosey.dev/rosey/runtime/status"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func connect(t *testing.T, url string) *bus.Conn {
	t.Helper()
	conn, err := bus.Connect(t.Context(), bus.Options{URL: url, Name: t.Name(), Log: natstest.Log(t)})
	must(t, err)
	t.Cleanup(conn.Close)
	return conn
}

func roseySubjects(t *testing.T) bus.Subjects {
	t.Helper()
	subjects, err := bus.NewSubjects("rosey")
	must(t, err)
	return subjects
}

// bind returns a binding for a stream with small limits.
func bind(t *testing.T, conn *bus.Conn, change ...func(*config.JetStream)) *bus.Binding {
	t.Helper()
	j := config.JetStream{Mode: config.JetStreamAuto, Replicas: 1, MaxAge: "72h", MaxBytes: 64 << 20}
	for _, one := range change {
		one(&j)
	}
	return bus.NewBinding(bus.BindingOptions{Conn: conn, Subjects: roseySubjects(t), JetStream: j, Log: natstest.Log(t)})
}

func jetStream(t *testing.T, server *natstest.Server) jetstream.JetStream {
	t.Helper()
	js, err := jetstream.New(server.Client())
	must(t, err)
	return js
}

func waitForReason(t *testing.T, check func() status.Check, want status.Reason) status.Check {
	t.Helper()
	natstest.Eventually(t, "reason "+string(want), func() bool { return check().Reason == want })
	return check()
}
