package web

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/status"
)

// QueryProblem is the error of a request that was answered with an error: usually, the reader has asked for something
// that cannot be. Its text names the field and what was expected.
type QueryProblem struct {
	text string
	// retry means that nothing is wrong with the request: the database is away, or it is busy.
	retry, busy bool
}

// Error implements error.
func (e *QueryProblem) Error() string { return e.text }

// answer decodes a reply, and whether it succeeded. Every reply of the database service and the bot says so.
type answer struct {
	out     any
	problem *QueryProblem
}

// UnmarshalJSON implements json.Unmarshaler.
func (a *answer) UnmarshalJSON(data []byte) error {
	var outcome struct {
		Success bool   `json:"success"`
		Error   string `json:"error"`
		Retry   bool   `json:"retry"`
		Busy    bool   `json:"busy"`
	}
	if err := json.Unmarshal(data, &outcome); err != nil {
		return fmt.Errorf("expected an object with success: %w", err)
	}
	if !outcome.Success && outcome.Error != "" {
		a.problem = &QueryProblem{
			text: status.OneLine(outcome.Error, maxMessage), retry: outcome.Retry, busy: outcome.Busy,
		}
	}
	if err := json.Unmarshal(data, a.out); err != nil {
		return fmt.Errorf("expected another object: %w", err)
	}
	return nil
}

// errBusy is the error of a request for which there was no turn.
var errBusy = errors.New("too many others read or search")

// usualCounts is a range of the numbers of people that is read at once.
const usualCounts = 31 * 24 * time.Hour

// isSearch reports whether a request may make the database read much.
func isSearch(request any) bool {
	switch request := request.(type) {
	case bus.ChatRequest:
		return request.Words != "" || request.Username != ""
	case bus.MediaRequest:
		return request.Username != "" || request.By != "" && request.By != bus.MediaPlays
	case bus.UserRequest, bus.UserStatsRequest:
		return true // for the last lines of a person, and all sessions
	case bus.UserCountsRequest:
		to := request.To.Time
		if to.IsZero() {
			to = time.Now()
		}
		return !request.From.IsZero() && to.Sub(request.From.Time) > usualCounts
	}
	return false
}

// ask sends a request of a reader and decodes the reply into out. It waits for a turn. The error is a *QueryProblem if
// the reply says that it failed, and out is decoded all the same.
func (s *Server) ask(ctx context.Context, suffix bus.Suffix, in, out any) error {
	turns := s.lists
	if isSearch(in) {
		turns = s.searches
	}
	return s.askInTurn(ctx, turns, turnWait, suffix, in, out)
}

// askInTurn is ask with turns of the caller.
func (s *Server) askInTurn(
	ctx context.Context, turns *turns, wait time.Duration, suffix bus.Suffix, in, out any,
) error {
	release, ok := turns.take(ctx, 1, wait)
	if !ok {
		return errBusy
	}
	defer release()
	return s.request(ctx, suffix, in, out)
}

// request is ask without a turn, for what no reader asks for.
func (s *Server) request(ctx context.Context, suffix bus.Suffix, in, out any) error {
	reply := answer{out: out}
	err := s.requests.Request(ctx, suffix, in, &reply)
	if err == nil && reply.problem != nil {
		err = reply.problem
	}
	if channel := s.options.Channel.Name; suffix != bus.ChannelGet(channel) && suffix != bus.CommandsGet(channel) {
		s.noteDatabase(err) // the bot answers these two
	}
	return err
}

// noteDatabase remembers whether the database answers, as far as the error of a request to it tells: that of a mistake,
// or of a service that is busy, does not.
func (s *Server) noteDatabase(err error) {
	problem, isProblem := errors.AsType[*QueryProblem](err)
	switch {
	case err == nil:
		s.live.noteDatabase(true, time.Now())
	case isProblem && problem.retry && !problem.busy,
		errors.Is(err, bus.ErrNotConnected), errors.Is(err, bus.ErrNoService), errors.Is(err, bus.ErrNoReply):
		s.live.noteDatabase(false, time.Now())
	}
}

// origin is the channel of the pages, for requests.
func (s *Server) origin() bus.Origin {
	return bus.Origin{Server: s.options.Channel.Server, Channel: s.options.Channel.Name}
}

// What is asked for in several places, for explain.
const (
	commandsAndPlugins = "commands and plugins"
	outboundLines      = "outbound lines"
	peopleOverTime     = "people over time"
	takingBack         = "taking a line back"
)

// explain returns the error of ask for readers, and the code of the response; what says for the log what was asked. ""
// is for nil. It logs an error that a reader is told to look for in the log.
func (s *Server) explain(ctx context.Context, what string, err error) (message string, code int) {
	s.logUnexpected(ctx, what, err)
	return explanation(err)
}

// explanation returns the words for an error of ask, and the code of the response.
func explanation(err error) (message string, code int) {
	problem, isProblem := errors.AsType[*QueryProblem](err)
	_, denied := errors.AsType[*bus.DeniedError](err)
	switch {
	case err == nil:
		return "", http.StatusOK
	case isProblem && problem.busy:
		return "The database has much to do: " + problem.Error() + ".", http.StatusServiceUnavailable
	case isProblem && problem.retry:
		return "The database is away or has too much to do. Try again in a moment.", http.StatusServiceUnavailable
	case isProblem:
		return problem.Error(), http.StatusBadRequest
	case errors.Is(err, errBusy):
		return "Too many others are reading or searching. Try again in a moment.", http.StatusServiceUnavailable
	case errors.Is(err, bus.ErrNotConnected):
		return "The page cannot reach the bot at the moment, so it cannot show what is kept.",
			http.StatusServiceUnavailable
	case errors.Is(err, bus.ErrNoService), errors.Is(err, bus.ErrNoReply):
		return "The database does not answer at the moment, so what is kept cannot be shown.",
			http.StatusServiceUnavailable
	case denied:
		return "These pages may not do that: their NATS user lacks the permission. Whoever runs the bot can grant it.",
			http.StatusBadGateway
	case errors.Is(err, bus.ErrRequestTooLarge):
		return "The request is too large.", http.StatusRequestEntityTooLarge
	}
	return "Something is wrong with the database's answer. Whoever runs the bot finds more in the log.",
		http.StatusBadGateway
}

// unexpectedEvery is the shortest time between two logged errors.
const unexpectedEvery = time.Second

// logUnexpected logs an error of ask that whoever runs the bot has to mend, unless the reader has gone away. It logs
// few of many, because readers choose how many there are.
func (s *Server) logUnexpected(ctx context.Context, what string, err error) {
	_, code := explanation(err)
	if code == http.StatusBadGateway && ctx.Err() == nil && s.unexpected.Allow() {
		s.options.Log.WarnContext(ctx, "a page lacks a part", "part", what, "error", err)
	}
}
