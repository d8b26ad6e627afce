package database

import (
	"context"
	"errors"
	"math"

	"github.com/nats-io/nats.go"

	"rosey.dev/rosey/runtime/bus"
)

// Defaults of requests that do not say.
const (
	defaultLimit      = 50
	defaultMaxRetries = 3
)

// maxRows bounds what is read for one reply.
const maxRows = 1000

var (
	// errLost says that ctx ended before what a message says could be stored.
	errLost = errors.New("not stored")
	// noRows is what an error is to clients of the Python service's first requests.
	noRows = []struct{}{}
)

// answer answers a message. It fails only with errLost.
func (w *worker) answer(ctx context.Context, suffix bus.Suffix, m arrival, question question) error {
	body, err := w.ask(ctx, suffix, m, question)
	switch {
	case errors.Is(err, errLost):
		return err
	case err != nil:
		w.log.Error("[DB] cannot answer "+string(suffix), "error", err)
	}
	if _, later := body.(answeredLater); !later {
		w.reply(suffix, m, body)
	}
	return nil
}

// ask is the answer to a question, in the client's terms too when it has an error. What is wrong with the
// question is none.
func (w *worker) ask(ctx context.Context, suffix bus.Suffix, m arrival, question question) (body any, err error) {
	body, err = question(w, ctx, m)
	switch {
	case errors.Is(err, errLost):
	case err == nil:
		w.metrics.count(suffix, outcomeAnswered, m.at)
	case errors.Is(err, errInvalid), errors.Is(err, errIncomplete):
		w.refuse(suffix, m, err)
		err = nil
	default:
		w.metrics.count(suffix, outcomeFailed, m.at)
	}
	return body, err
}

// reply does nothing when no reply is asked for.
func (s *Service) reply(suffix bus.Suffix, m arrival, body any) {
	if m.Reply == "" {
		return
	}
	data, err := bus.Encode(body)
	if err == nil {
		err = m.RespondMsg(&nats.Msg{Data: data, Header: nats.Header{bus.IDsHeader: {"once"}}})
	}
	if err != nil {
		s.log.Error("[NATS] cannot reply to "+string(suffix), "error", err)
	}
}

// room is how many bytes of rows fit into a reply.
func (s *Service) room() int {
	if s.conn == nil {
		return math.MaxInt // the reply goes nowhere but into memory
	}
	const around = 1024 // the header, and what is around the rows
	return int(s.conn.NATS().MaxPayload()) - around
}

// fitting leaves out the rows that do not fit into so many bytes, beginning with the last.
func fitting[T any](rows []T, room int) []T {
	fit := rows[:0]
	for _, row := range rows {
		data, err := bus.Encode(row)
		if err != nil || len(data)+1 > room {
			continue
		}
		room -= len(data) + 1
		fit = append(fit, row)
	}
	return fit
}
