package database

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/store"
)

const (
	// maxQueryTime bounds a query: its client waits for bus.RequestTimeout.
	maxQueryTime = 1500 * time.Millisecond
	// maxQueries bounds the queries and requests about people that read at a time, so that one of the store's connections
	// is left to the bot's requests. Of those that read much there is one at a time: whatever is searched, and however
	// many web pages ask, the other turn is for lists that are read at once.
	maxQueries, maxSearches = 2, 1
	// maxWaitingQueries bounds the queries that read or wait for their turn, and maxWaitingSearches those that read much.
	maxWaitingQueries, maxWaitingSearches = 64, 32
	// queryOverhead is what a reply has beside its items, in bytes and with room.
	queryOverhead = 4 << 10
)

// queries is the state of the requests of bus.Queries. Turns are given in the order in which they were asked for: a web
// page has one search at a time, so that those of several pages take turns.
type queries struct {
	running   chan struct{} // has a token for each query that reads
	searching chan struct{} // has a token for each of them that reads much
	waiting   waitingQueries
	times     userTimes
}

// waitingQueries counts queries that read or wait.
type waitingQueries struct{ all, searches atomic.Int32 }

func newQueries() queries {
	return queries{
		running: make(chan struct{}, maxQueries), searching: make(chan struct{}, maxSearches),
		times: userTimes{most: maxKnownTimes},
	}
}

// begin waits for a turn, which end ends. It reports whether there is one before ctx ends.
func (q *queries) begin(ctx context.Context, cost queryCost) (end func(), ok bool) {
	if cost == readsMuch && !take(ctx, q.searching) {
		return nil, false
	}
	ok = take(ctx, q.running)
	if cost == readsMuch && !ok {
		<-q.searching
	}
	return func() {
		<-q.running
		if cost == readsMuch {
			<-q.searching
		}
	}, ok
}

// enter counts a query that reads or waits, until leave is called. It reports whether there are not too many.
func (w *waitingQueries) enter(cost queryCost) (leave func(), ok bool) {
	ok = w.all.Add(1) <= maxWaitingQueries
	if cost == readsMuch {
		ok = w.searches.Add(1) <= maxWaitingSearches && ok
	}
	return func() {
		w.all.Add(-1)
		if cost == readsMuch {
			w.searches.Add(-1)
		}
	}, ok
}

// fieldError is a mistake in a request. Its text is for the client: it names the field and what was expected.
type fieldError struct{ field, expected string }

// Error implements error.
func (e *fieldError) Error() string { return e.field + ": expected " + e.expected }

// Unwrap implements the errors package's interface.
func (e *fieldError) Unwrap() error { return errInvalid }

// expectations are what the fields of queries have to be, for those that can be of a wrong type.
var expectations = map[string]string{
	"from": "a time in Unix seconds", "to": "a time in Unix seconds", "limit": expectedLimit, "cursor": expectedCursor,
	"points": expectedPoints, "utc_offset": expectedOffset, "order": expectedOrder, "states": expectedStates,
	"joins":    "true or false",
	"username": "a text", "words": "a text", "filter": "a text", "sort": "a text", "by": "a text",
	"plugin": "a text",
}

var (
	expectedLimit  = fmt.Sprintf("a number from 1 to %d", bus.MaxQueryLimit)
	expectedPoints = fmt.Sprintf("a number from 2 to %d", bus.MaxCountPoints)
	expectedOffset = fmt.Sprintf("minutes from %d to %d", -bus.MaxUTCOffsetMinutes, bus.MaxUTCOffsetMinutes)
	expectedOrder  = fmt.Sprintf("%q or %q", bus.Ascending, bus.Descending)
)

const expectedCursor = `the "next" of an earlier reply to the same request`

// errManyQueries is for a query that has no turn.
var errManyQueries = errors.New("too many queries wait: try again in a moment")

// errSlow is for a query that has met maxQueryTime. One that reads little meets it only while the database hangs.
var errSlow = slowError{}

type slowError struct{}

// Error implements error.
func (slowError) Error() string {
	return fmt.Sprintf("it took longer than %v: expected a shorter range, or a filter that matches more", maxQueryTime)
}

// Unwrap implements the errors package's interface.
func (slowError) Unwrap() error { return errInvalid }

// query returns the handler of a query. ask returns the reply with Success.
func query[R queryRequest](
	ask func(e *Engine, ctx context.Context, channel store.Channel, request R, in queryInput) (any, error),
) handler {
	return func(e *Engine, ctx context.Context, r Request) (any, error) {
		request, err := decodeQuery[R](r.Data)
		var channel store.Channel
		if err == nil {
			channel, err = e.decoder.channel(request.from())
		}
		if err != nil {
			return bus.QueryError{Error: err.Error()}, err
		}
		cost := request.cost()
		leave, ok := e.queries.waiting.enter(cost)
		defer leave()
		if !ok {
			return busyReply(errManyQueries), nil
		}
		limited, cancel := context.WithTimeout(ctx, maxQueryTime)
		defer cancel()
		in := queryInput{now: r.Time, maxBytes: min(r.MaxReply, bus.MaxQueryReplyBytes) - queryOverhead}
		if cost == needsTimes { // before the turn, which the count of them needs
			in.times, in.timesErr = e.times(limited, channel)
		}
		end, ok := e.queries.begin(limited, cost)
		if !ok {
			return busyReply(errManyQueries), nil
		}
		defer end()
		reply, err := ask(e, limited, channel, request, in)
		if err != nil {
			tooLong := limited.Err() != nil && ctx.Err() == nil
			return queryFailed(err, tooLong && cost != readsLittle)
		}
		return reply, nil
	}
}

// queryFailed returns the reply to a query that failed, perhaps because it is slow.
func queryFailed(err error, isSlow bool) (any, error) {
	switch {
	case errors.Is(err, errCounting):
		return busyReply(errCounting), nil
	case errors.Is(err, errInvalid):
	case isSlow:
		err = errSlow
	default:
		return bus.QueryError{Error: errUnavailable, Retry: true}, err
	}
	return bus.QueryError{Error: err.Error()}, err
}

// busyReply is the reply to a query that the database has no time for. It is not away.
func busyReply(why error) bus.QueryError {
	return bus.QueryError{Error: why.Error(), Retry: true, Busy: true}
}

// queryRequest is the body of a query, as clients send it.
type queryRequest interface {
	check() error // returns a fieldError
	from() origin
	cost() queryCost
}

// queryCost is what a query waits for.
type queryCost int

const (
	readsLittle queryCost = iota
	// readsMuch is for a query that may read much of what is stored.
	readsMuch
	// needsTimes is for a query that reads little once knownTimes are there.
	needsTimes
)

// queryInput is what a reply depends on, beside the request.
type queryInput struct {
	now      time.Time // when the request arrived
	maxBytes int       // of the items
	// times are set for a query that needs them, or else why they are not there.
	times    *knownTimes
	timesErr error
}

func decodeQuery[R queryRequest](data []byte) (request R, err error) {
	if err := decodeInto(data, &request); err != nil {
		if wrong, ok := errors.AsType[*wrongFieldError](err); ok && expectations[wrong.field] != "" {
			err = &fieldError{wrong.field, expectations[wrong.field]}
		}
		return request, err
	}
	return request, request.check()
}

// instant is a time in a request, the zero time if it is absent.
type instant struct{ bus.Seconds }

// UnmarshalJSON implements json.Unmarshaler.
func (i *instant) UnmarshalJSON(data []byte) error {
	if i.Seconds.UnmarshalJSON(data) != nil {
		return wrongType(*i)
	}
	return nil
}

// span is bus.Range as clients send it.
type span struct {
	From instant `json:"from"`
	To   instant `json:"to"`
}

func (s span) check() error {
	if !s.To.IsZero() && !s.To.After(s.From.Time) {
		return &fieldError{"to", `a time after "from"`}
	}
	return nil
}

func (s span) times() store.Span { return store.Span{From: s.From.Time, To: s.To.Time} }

// within returns the times of a span that has a beginning and an end: without From it is usual long, and it is at most
// longest.
func (s span) within(now time.Time, usual, longest time.Duration) (store.Span, error) {
	times := s.times()
	if times.To.IsZero() {
		times.To = now.Add(maxSkew) // the times of events may be ahead by that
	}
	if times.From.IsZero() {
		times.From = times.To.Add(-usual)
	}
	switch length := times.To.Sub(times.From); {
	case length <= 0:
		return times, &fieldError{"from", "a time that has passed"}
	case length > longest:
		return times, &fieldError{"from", fmt.Sprintf("at most %d days before %q", longest/(24*time.Hour), "to")}
	}
	return times, nil
}

// page is bus.Page as clients send it.
type page struct {
	Limit  number `json:"limit"`
	Cursor cursor `json:"cursor"`
}

func (p page) check() error {
	if p.Limit < 0 || p.Limit > bus.MaxQueryLimit {
		return &fieldError{"limit", expectedLimit}
	}
	return nil
}

func (p page) limit() int {
	if p.Limit == 0 {
		return bus.DefaultQueryLimit
	}
	return int(p.Limit)
}

// zone is bus.Zone as clients send it.
type zone struct {
	UTCOffset number `json:"utc_offset"`
}

func (z zone) check() error {
	if z.UTCOffset < -bus.MaxUTCOffsetMinutes || z.UTCOffset > bus.MaxUTCOffsetMinutes {
		return &fieldError{"utc_offset", expectedOffset}
	}
	return nil
}

func (z zone) ahead() time.Duration { return time.Duration(z.UTCOffset) * time.Minute }

// checkOneOf checks a field with one of a few values. An empty one is the default.
func checkOneOf[V ~string](field string, value V, allowed ...V) error {
	if value == "" || slices.Contains(allowed, value) {
		return nil
	}
	return &fieldError{field, "one of " + oneOf(allowed)}
}

// oneOf returns values for people.
func oneOf[V ~string](values []V) string {
	quoted := make([]string, 0, len(values))
	for _, one := range values {
		quoted = append(quoted, fmt.Sprintf("%q", one))
	}
	return strings.Join(quoted, ", ")
}

// checkWords checks a text that is searched for.
func checkWords(field string, words text) error {
	if len(words) > bus.MaxWordsBytes {
		return &fieldError{field, fmt.Sprintf("at most %d bytes, not %d", bus.MaxWordsBytes, len(words))}
	}
	return nil
}

// cursor is the place in a list at which a page begins. On the wire it is opaque: whatever is in it, it can only select
// rows that the request selects.
type cursor struct {
	set bool
	place
}

// place is what is in a cursor. Which fields are used depends on the list.
type place struct {
	At    int64  `json:"t,omitempty"` // milliseconds
	ID    string `json:"i,omitempty"`
	Value int64  `json:"v,omitempty"`
	// Back means that the page ends before the place, instead of beginning after it.
	Back bool `json:"b,omitempty"`
}

const (
	maxCursorBytes = 2 << 10
	maxCursorTime  = 253402300799_000 // the end of the year 9999
)

// UnmarshalJSON implements json.Unmarshaler.
func (c *cursor) UnmarshalJSON(data []byte) error {
	encoded, isText := unquoted(data)
	if string(data) == "null" || isText && encoded == "" {
		return nil
	}
	decoded, err := base64.RawURLEncoding.DecodeString(encoded)
	if !isText || len(encoded) > maxCursorBytes || err != nil || json.Unmarshal(decoded, &c.place) != nil ||
		c.At < 0 || c.At > maxCursorTime || store.CleanText(c.ID) != c.ID {
		return wrongType(*c)
	}
	c.set = true
	return nil
}

// encode returns the place as it is in a reply.
func (p place) encode() string {
	data, err := bus.Encode(p) // IDs of many characters that json.Marshal escapes would make it too long
	if err != nil {
		return "" // it cannot fail
	}
	return base64.RawURLEncoding.EncodeToString(data)
}

// position returns the place of an event. Nil: the beginning.
func (c cursor) position() *store.Position {
	if !c.set {
		return nil
	}
	return &store.Position{At: time.UnixMilli(c.At), ID: c.ID}
}

// placeOf returns the place of an event.
func placeOf(at time.Time, id string) place { return place{At: at.UnixMilli(), ID: id} }

// fits returns how many of the items fit into limit bytes as JSON, but at least one.
func fits[T any](items []T, limit int) int {
	for i, item := range items {
		data, err := bus.Encode(item)
		if limit -= len(data) + 1; (err != nil || limit < 0) && i > 0 {
			return i
		}
	}
	return len(items)
}
