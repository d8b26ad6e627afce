package web

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/time/rate"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/config"
	"rosey.dev/rosey/runtime/status"
)

// Options configure a Server. All fields are required unless they say otherwise.
type Options struct {
	Config   config.Web
	Channel  config.Channel
	Conn     *bus.Conn
	Subjects bus.Subjects
	Log      *slog.Logger
	// Registerer gets the metrics of the pages. Nil: none.
	Registerer prometheus.Registerer
	// Version is that of this program.
	Version string
	// Loopback reports that the pages are served on a loopback address alone, so that who reads is on this machine.
	Loopback bool
	// ProcessPath is the path of the page for who runs the process, where it is served at the same address, behind
	// Server.Private. Empty: it is not.
	ProcessPath string
}

// Server serves the pages. Its handler works while Run runs; before and after, the pages say that nothing is live.
type Server struct {
	options   Options
	requests  *bus.Requester
	tokens    *tokens
	logins    *loginLimits
	templates func() (templates, error)
	live      *live
	hub       *hub
	metrics   *metrics
	// downloads bounds the downloads that run at a time, searches the requests that keep the database busy, lists the
	// others, and large the bytes of large responses.
	downloads, searches, lists, large *turns
	// unexpected bounds how often an unexpected error is logged.
	unexpected *rate.Limiter
	// rendered are parts of the Now page for readers who come.
	rendered renderedParts
	// streamWrite and shutdownTimeout are the constants of these names, except in tests.
	streamWrite, shutdownTimeout time.Duration
}

// New returns a Server. It sends nothing before Run.
func New(o Options) *Server {
	hub := newHub()
	return &Server{
		options:   o,
		requests:  bus.NewRequester(o.Conn, o.Subjects),
		tokens:    newTokens(o.Config.TokensDir, o.Log),
		logins:    newLoginLimits(),
		templates: sync.OnceValues(parseTemplates),
		live:      newLive(),
		hub:       hub,
		metrics:   newMetrics(o.Registerer, hub.count),
		downloads: newTurns(maxDownloads, 1, maxQueue),
		searches:  newTurns(maxSearches, 1, maxQueue),
		lists:     newTurns(maxLists, maxStrangersLists, maxListQueue),
		large:     newTurns(maxLarge, maxStrangersLarge, maxQueue),
		rendered:  renderedParts{parts: map[string]renderedPart{}},

		unexpected: rate.NewLimiter(rate.Every(unexpectedEvery), 10),

		streamWrite: streamWrite, shutdownTimeout: shutdownTimeout,
	}
}

// Run reads the tokens again and again, and follows what happens in the channel, until ctx ends.
func (s *Server) Run(ctx context.Context) error {
	var reading sync.WaitGroup
	reading.Go(func() { s.tokens.run(ctx) })
	defer reading.Wait()
	return s.follow(ctx)
}

// Checks are what the pages need, for the status of the process.
func (s *Server) Checks() []func() status.Check {
	return []func() status.Check{s.tokens.check.Check}
}

// page is one path of the pages.
type page struct {
	// pattern is as for http.ServeMux, with the method.
	pattern string
	access  Access
	serve   http.HandlerFunc
}

// pages returns everything that is served. A concept adds its own list here.
func (s *Server) pages() (all []page) {
	for _, list := range [][]page{
		s.assetPages(), s.loginPages(), s.nowPages(), s.sayPages(), s.countPages(), s.chatPages(),
		s.peoplePages(), s.filmPages(), s.recordPages(), s.pluginPages(), s.outboundPages(), s.healthPages(),
		s.apiPages(), s.pythonPages(),
	} {
		all = append(all, list...)
	}
	return all
}

// Handler returns the handler of all pages.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	methods := map[string][]string{}
	for _, one := range s.pages() {
		handler := s.guard(one.access, s.boundLarge(one.serve))
		if isTraced(one.pattern) {
			handler = traced(one.pattern, handler)
		}
		mux.Handle(one.pattern, s.metrics.count(one.pattern, handler))
		method, path, _ := strings.Cut(one.pattern, " ")
		methods[path] = append(methods[path], method)
	}
	for path, allowed := range methods {
		mux.Handle(path, s.methodNotAllowed(allowed))
	}
	mux.HandleFunc("/", s.serveNotFound)
	protection := http.NewCrossOriginProtection()
	protection.SetDenyHandler(http.HandlerFunc(s.serveCrossOrigin))
	return withHeaders(s.belowBasePath(protection.Handler(bounded(mux))))
}

const (
	// maxDownloads is how many downloads may run at a time, of which strangers may have one.
	maxDownloads = 2
	// maxSearches is how many requests may keep the database busy at a time. The database service answers one of them at
	// a time, those of several web pages in turn.
	maxSearches = 1
	// maxLists is how many other requests may be at the database service at a time, of which strangers may have some: it
	// refuses requests while 64 wait.
	maxLists, maxStrangersLists = 24, 8
)

// maxBody bounds the body of a request: a form with a line, or a request of the API.
const maxBody = 64 << 10

// bounded limits the body of a request.
func bounded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		next.ServeHTTP(w, r)
	})
}

// policy permits the files of this package and nothing else, above all nothing that is inside a page.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// withHeaders sets the headers by which browsers guard a page, on every response. Pages are not kept in caches: they
// show what a reader may see, which changes with a login.
func withHeaders(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := w.Header()
		header.Set("Content-Security-Policy", policy)
		header.Set("X-Content-Type-Options", "nosniff")
		// Not no-referrer: browsers then send "Origin: null" with a form, which is refused as coming from another site.
		header.Set("Referrer-Policy", "same-origin")
		header.Set("Cross-Origin-Opener-Policy", "same-origin")
		header.Set("Cross-Origin-Resource-Policy", "same-origin")
		header.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=()")
		header.Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}

// belowBasePath serves the pages below the configured path.
func (s *Server) belowBasePath(next http.Handler) http.Handler {
	base := strings.TrimSuffix(s.options.Config.BasePath, "/")
	if base == "" {
		return next
	}
	stripped := http.StripPrefix(base, next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == base { // without the slash, relative links would lead beside the pages
			w.Header().Set("Location", base+"/")
			w.WriteHeader(http.StatusFound)
			return
		}
		stripped.ServeHTTP(w, r)
	})
}

// shutdownTimeout bounds the wait for responses that are in progress when the server stops, such as a download. With
// the time for which a pod waits before, it is less than what the kubelet grants.
const shutdownTimeout = 10 * time.Second

// Serve serves the pages until ctx ends. It closes the listener.
func (s *Server) Serve(ctx context.Context, listener net.Listener) error {
	server := status.NewServer(s.Handler(), s.options.Config.Host, s.options.Log)
	server.RegisterOnShutdown(s.hub.close) // open pages never end by themselves, and Shutdown would wait for them
	done := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(done)
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.shutdownTimeout)
		defer cancel()
		if server.Shutdown(grace) != nil {
			_ = server.Close() // readers who do not read must not delay the end of the process
		}
	})
	err := server.Serve(listener)
	if !stop() {
		<-done
	}
	if !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serving the pages on %s: %w", listener.Addr(), err)
	}
	return nil
}
