package web

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"golang.org/x/sync/semaphore"
)

// turns bounds how much is done at a time. Those without a token have a part of it, so that strangers of a public page
// cannot keep out who has one.
type turns struct {
	all, strangers *semaphore.Weighted
	// most is how much one may take: all that strangers have.
	most int64
	// queue bounds how many strangers have or await a turn.
	queue chan struct{}
}

// maxQueue is how many strangers may have or await a turn, and maxListQueue how many for a list. Each waits with a
// connection.
const maxQueue, maxListQueue = 16, 128

// newTurns returns turns of a total weight, of those of strangers, and the length of their queue.
func newTurns(all, strangers int64, queue int) *turns {
	return &turns{
		all: semaphore.NewWeighted(all), strangers: semaphore.NewWeighted(strangers), most: strangers,
		queue: make(chan struct{}, queue),
	}
}

// turnWait is how long a reader waits for a turn.
const turnWait = time.Second

// take waits for a turn of a weight. release ends it. ok is false if there was none in time.
func (t *turns) take(ctx context.Context, weight int64, wait time.Duration) (release func(), ok bool) {
	weight = min(weight, t.most)
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	if _, known := ctx.Value(personKey{}).(Person); known {
		return func() { t.all.Release(weight) }, t.all.Acquire(ctx, weight) == nil
	}
	select {
	case t.queue <- struct{}{}:
	default:
		return nil, false
	}
	if t.strangers.Acquire(ctx, weight) != nil {
		<-t.queue
		return nil, false
	}
	if t.all.Acquire(ctx, weight) != nil {
		t.strangers.Release(weight)
		<-t.queue
		return nil, false
	}
	return func() {
		t.all.Release(weight)
		t.strangers.Release(weight)
		<-t.queue
	}, true
}

const (
	// maxLarge bounds the bytes of large responses that are written at a time, and maxStrangersLarge those to readers
	// without a token. A reader who does not read keeps a response in memory until the server's time-out.
	maxLarge, maxStrangersLarge = 16 << 20, 12 << 20
	// smallResponse is what is not counted. As many connections as there may be can have one.
	smallResponse = 32 << 10
)

// boundLarge answers with 503 instead of a large response while too many others are being written.
func (s *Server) boundLarge(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		bounded := &sizedWriter{ResponseWriter: w, server: s, request: r, release: func() {}}
		defer func() { bounded.release() }()
		next.ServeHTTP(bounded, r)
	})
}

// sizedWriter takes a turn for the size of a response. Responses say it before they begin.
type sizedWriter struct {
	http.ResponseWriter

	server  *Server
	request *http.Request
	release func()
	// refused means that another response was written instead.
	refused bool
}

// WriteHeader implements http.ResponseWriter.
func (w *sizedWriter) WriteHeader(code int) {
	size, err := strconv.ParseInt(w.Header().Get("Content-Length"), 10, 64)
	if err != nil || size <= smallResponse {
		w.ResponseWriter.WriteHeader(code)
		return
	}
	if release, ok := w.server.large.take(w.request.Context(), size, turnWait); ok {
		w.release = release
		w.ResponseWriter.WriteHeader(code)
		return
	}
	w.refused = true
	for _, name := range []string{"Content-Length", "Content-Type"} {
		w.Header().Del(name)
	}
	w.server.fail(w.ResponseWriter, w.request, http.StatusServiceUnavailable,
		"Too many others are loading pages. Try again in a moment.")
}

// Write implements http.ResponseWriter.
func (w *sizedWriter) Write(body []byte) (int, error) {
	if w.refused {
		return len(body), nil
	}
	return w.ResponseWriter.Write(body) //nolint:wrapcheck // as the wrapped one
}

// Unwrap is for http.ResponseController.
func (w *sizedWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
