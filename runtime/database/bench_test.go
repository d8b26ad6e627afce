package database_test

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/bus/natstest"
	"rosey.dev/rosey/runtime/config"
	"rosey.dev/rosey/runtime/database"
	"rosey.dev/rosey/runtime/store"
	"rosey.dev/rosey/runtime/store/sqlite"
)

// BenchmarkBacklog has the service store lines of chat that wait in the stream. It is for profiles, which also hold
// the NATS server and the publisher; test/bench measures the program beside other processes.
func BenchmarkBacklog(b *testing.B) {
	const lines = 20_000
	server := natstest.Start(b, natstest.JetStream(b))
	js, err := jetstream.New(server.Client(), jetstream.WithPublishAsyncMaxPending(4000))
	if err != nil {
		b.Fatal(err)
	}
	base, path := time.Now().UnixMilli(), filepath.Join(b.TempDir(), "rosey.db")
	serve(b, server, path, func() {}) // which makes the stream
	for n := 0; b.Loop(); n++ {
		b.StopTimer()
		for i := range lines {
			at := base + int64(n*lines+i)
			m := nats.NewMsg("rosey." + string(bus.MessageLog))
			m.Data = fmt.Appendf(nil, `{"username":"user%02d","message":"line %d: has anybody seen <em>this</em> before?",`+
				`"server":"https://cytu.be","channel":"movies","timestamp":%d.%03d}`, i%30, i, at/1000, at%1000)
			m.Header.Set(bus.MsgIDHeader, bus.MsgID(fmt.Sprintf("%012x-0123456789abcdef0123456789abcdef", at), bus.MessageLog))
			if _, err := js.PublishMsgAsync(m, jetstream.WithStallWait(time.Minute)); err != nil {
				b.Fatal(err)
			}
		}
		<-js.PublishAsyncComplete()
		serve(b, server, path, func() {
			b.StartTimer()
			drained(b, js, uint64((n+1)*lines))
			b.StopTimer()
		})
		b.StartTimer()
	}
	b.ReportMetric(float64(lines*b.N)/b.Elapsed().Seconds(), "lines/s")
}

// serve runs a service while something is done.
func serve(b *testing.B, server *natstest.Server, path string, do func()) {
	b.Helper()
	conn, err := bus.Connect(b.Context(), bus.Options{URL: server.URL(), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close()
	subjects, err := bus.NewSubjects("rosey")
	if err != nil {
		b.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	service := database.New(database.Options{
		Conn: conn, Subjects: subjects, Channel: movies, Log: log,
		Open: func(ctx context.Context) (store.Store, error) { return sqlite.Open(ctx, path) },
		Binding: bus.NewBinding(bus.BindingOptions{Conn: conn, Subjects: subjects, Log: log,
			JetStream: config.JetStream{Mode: config.JetStreamAuto, Replicas: 1, MaxAge: "72h", MaxBytes: 1 << 30}}),
	})
	ctx, stop := context.WithCancel(b.Context())
	ended := make(chan error, 1)
	go func() { ended <- service.Run(ctx) }()
	natstest.Eventually(b, "the service to be ready", func() bool { return service.NATSCheck().OK })
	do()
	stop()
	if err := <-ended; err != nil {
		b.Fatal(err)
	}
}

// drained waits until so many events of the stream are acknowledged.
func drained(b *testing.B, js jetstream.JetStream, sequence uint64) {
	b.Helper()
	natstest.Within(b, time.Minute, "the backlog to be stored", func() bool {
		consumer, err := js.Consumer(b.Context(), "rosey_events", "rosey_db")
		return err == nil && consumer.CachedInfo().AckFloor.Stream >= sequence
	})
}

// BenchmarkRequests asks one question after the other.
func BenchmarkRequests(b *testing.B) {
	server := natstest.Start(b)
	client := server.Client()
	for _, asked := range []struct {
		suffix bus.Suffix
		body   string
	}{
		{bus.OutboundGet, `{"limit":0}`}, // which needs no database
		{bus.OutboundGet, `{"claimant":"bench"}`},
		{bus.QueryUserStats, `{"username":"alice"}`},
	} {
		b.Run(string(asked.suffix)+asked.body, func(b *testing.B) {
			serve(b, server, filepath.Join(b.TempDir(), "rosey.db"), func() {
				if err := client.Publish("rosey."+string(bus.UserJoined), []byte(`{"username":"alice"}`)); err != nil {
					b.Fatal(err)
				}
				for b.Loop() {
					if _, err := client.Request("rosey."+string(asked.suffix), []byte(asked.body), time.Minute); err != nil {
						b.Fatal(err)
					}
				}
			})
		})
	}
}
