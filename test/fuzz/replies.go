package fuzz

import (
	"context"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"rosey.dev/rosey/runtime/bus"
)

// answeringTime is how long a hostile responder answers: a bot asks for outbound lines every two seconds.
const answeringTime = 3 * time.Second

// hostileReplies answers requests beside the service, and mostly before it.
func hostileReplies(ctx context.Context, h *hostile) {
	h.answer(ctx, requests, func(random *rand.Rand, suffix bus.Suffix) []byte {
		return forgedReply(random, suffix, h.most-1024)
	})
}

// hostileAcks answers events beside the stream.
func hostileAcks(ctx context.Context, h *hostile) {
	h.answer(ctx, bus.Events, func(random *rand.Rand, _ bus.Suffix) []byte {
		return []byte(pick(random, `{"stream":"`+h.subjects.StreamName()+`","seq":1}`,
			`{"stream":"x","seq":18446744073709551615}`, `{"error":null}`, "null", "", "{",
			`{"error":{"code":503,"err_code":10077,"description":"maximum messages exceeded"}}`,
			`{"success":false}`, `{"stream":"`+filler(100_000)+`","seq":1}`))
	})
}

// answer subscribes to subjects for a while and sends several replies to each message that expects one. The replies
// depend on the seed and on the number of the message.
func (h *hostile) answer(ctx context.Context, to []bus.Suffix, reply func(*rand.Rand, bus.Suffix) []byte) {
	ctx, cancel := context.WithTimeout(ctx, answeringTime)
	defer cancel()
	messages := make(chan *nats.Msg, 1024)
	for _, suffix := range to {
		subscription, err := h.conn.ChanSubscribe(h.subjects.Subject(suffix), messages)
		if err != nil {
			return
		}
		defer func() { _ = subscription.Unsubscribe() }()
	}
	for h.mayGoOn(ctx) {
		select {
		case <-ctx.Done():
			return
		case m := <-messages:
			suffix, _ := h.subjects.Suffix(m.Subject)
			for range pick(h.random, 1, 2, 50) {
				data := reply(h.random, suffix)
				message := &nats.Msg{Subject: m.Reply, Data: data, Header: header(h.random, suffix)}
				if m.Reply == "" || h.conn.PublishMsg(message) != nil {
					break
				}
				h.count("", message.Size())
			}
		}
	}
}

// forgedReply returns a reply that no honest client takes for a valid one.
func forgedReply(random *rand.Rand, suffix bus.Suffix, most int) []byte {
	if suffix != bus.OutboundGet {
		return noObject(random, pick(random, 100, most))
	}
	line := []field{{"id", digits(random, 1000)}, {"timestamp", anyTime(random)}, {"message", quote(anyText(random))},
		{"retry_count", digits(random, 5)}, {"lease_seconds", "60"}}
	for range random.IntN(3) {
		line[random.IntN(len(line))].value = oddValue(random, pick(random, 100, most/2))
	}
	one := object(line...)
	switch random.IntN(4) {
	case 0:
		return noObject(random, pick(random, 100, most))
	case 1: // many lines
		return []byte("[" + strings.Repeat(one+",", min(most/(len(one)+1), 5_000)) + one + "]")
	default:
		return []byte("[" + one + "]")
	}
}
