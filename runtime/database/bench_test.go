package database_test

import (
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/database"
)

// withoutLog leaves out the log, which has a line for each batch.
func withoutLog(o *database.ServiceOptions) { o.Log = slog.New(slog.DiscardHandler) }

// BenchmarkBacklog stores a backlog of chat lines in the stream. Its profiles include NATS server and publisher;
// test/bench measures the program in a process of its own.
func BenchmarkBacklog(b *testing.B) {
	const lines = 20_000
	r := newStreamRig(b)
	js, err := jetstream.New(r.client, jetstream.WithPublishAsyncMaxPending(4000))
	if err != nil {
		b.Fatal(err)
	}
	r.stop(r.startWithStream(withoutLog)) // creates the stream
	base := time.Now().UnixMilli()
	for n := 0; b.Loop(); n++ {
		b.StopTimer()
		for i := range lines {
			publishLine(b, js, base+int64(n*lines+i), i)
		}
		<-js.PublishAsyncComplete()
		s := r.startWithStream(withoutLog)
		b.StartTimer()
		r.waitUntilStreamStored()
		b.StopTimer()
		r.stop(s)
		b.StartTimer()
	}
	b.ReportMetric(float64(lines*b.N)/b.Elapsed().Seconds(), "lines/s")
}

// publishLine publishes a chat line with a time in milliseconds, without waiting for the acknowledgement.
func publishLine(b *testing.B, js jetstream.JetStream, at int64, number int) {
	b.Helper()
	m := nats.NewMsg("rosey." + string(bus.MessageLog))
	m.Data = fmt.Appendf(nil, `{"username":"user%02d","message":"line %d: has anybody seen <em>this</em> before?",`+
		`"server":"https://cytu.be","channel":"movies","timestamp":%d.%03d}`, number%30, number, at/1000, at%1000)
	m.Header.Set(bus.MsgIDHeader, bus.MsgID(fmt.Sprintf("%012x-0123456789abcdef0123456789abcdef", at), bus.MessageLog))
	if _, err := js.PublishMsgAsync(m, jetstream.WithStallWait(time.Minute)); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkRequests sends one request after the other.
func BenchmarkRequests(b *testing.B) {
	for _, asked := range []struct {
		suffix bus.Suffix
		body   string
	}{
		{bus.OutboundGet, `{"limit":0}`}, // does not use the database
		{bus.OutboundGet, `{"claimant":"bench"}`},
		{bus.QueryUserStats, `{"username":"alice"}`},
	} {
		b.Run(string(asked.suffix)+asked.body, func(b *testing.B) {
			r := newRig(b)
			r.ready(r.start(withoutLog))
			r.publish(bus.UserJoined, `{"username":"alice"}`)
			for b.Loop() {
				if _, err := r.client.Request("rosey."+string(asked.suffix), []byte(asked.body), time.Minute); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
