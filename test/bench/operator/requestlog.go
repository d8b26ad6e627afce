package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"maps"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"k8s.io/client-go/rest"
)

// requestLog is a proxy for the API server. It counts the requests, so that the table has what the API server sees and
// not what its client says.
type requestLog struct {
	url    string
	server *http.Server
	served chan error

	mu    sync.Mutex
	calls []call
}

// call is a request that the API server has answered.
type call struct {
	method, path string
	status       int
	at           time.Time
	watches      bool
}

// startRequestLog starts a proxy on loopback. It adds the credentials of config to the requests.
func startRequestLog(ctx context.Context, config *rest.Config) (*requestLog, error) {
	target, err := url.Parse(config.Host)
	if err != nil {
		return nil, fmt.Errorf("parsing the API server's address: %w", err)
	}
	transport, err := rest.TransportFor(config)
	if err != nil {
		return nil, fmt.Errorf("creating a transport: %w", err)
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("starting a proxy: %w", err)
	}
	l := &requestLog{url: "http://" + listener.Addr().String(), served: make(chan error, 1)}
	l.server = &http.Server{ReadHeaderTimeout: time.Minute, Handler: &httputil.ReverseProxy{
		Rewrite:        func(r *httputil.ProxyRequest) { r.SetURL(target) },
		Transport:      transport,
		FlushInterval:  -1, // watches
		ModifyResponse: func(r *http.Response) error { l.record(r); return nil },
		ErrorLog:       log.New(io.Discard, "", 0), // watches end with the operator
	}}
	go func() { l.served <- l.server.Serve(listener) }()
	return l, nil
}

func (l *requestLog) close() error {
	err := l.server.Close()
	if served := <-l.served; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	if err != nil {
		return fmt.Errorf("stopping the proxy: %w", err)
	}
	return nil
}

func (l *requestLog) record(response *http.Response) {
	l.mu.Lock()
	defer l.mu.Unlock()
	request := response.Request
	l.calls = append(l.calls, call{
		method: request.Method, path: request.URL.Path, status: response.StatusCode, at: time.Now(),
		watches: request.URL.Query().Has("watch"),
	})
}

// count returns the number of requests for which wanted returns true.
func (l *requestLog) count(wanted func(call) bool) (count int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, each := range l.calls {
		if wanted(each) {
			count++
		}
	}
	return count
}

// mark returns the number of requests until now, for since.
func (l *requestLog) mark() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.calls)
}

// since returns the requests after a mark, without those for leases and the start of watches: the operator also sends
// them while it has nothing to do.
func (l *requestLog) since(mark int) (calls []call) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, each := range l.calls[mark:] {
		if !strings.Contains(each.path, "/leases/") && !each.watches {
			calls = append(calls, each)
		}
	}
	return calls
}

// countCreations returns how many objects that are no Events were created after a mark.
func (l *requestLog) countCreations(mark int) (count int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, each := range l.calls[mark:] {
		if each.isCreation() {
			count++
		}
	}
	return count
}

// String names what a call does, such as "POST configmaps".
func (c call) String() string {
	segments := strings.Split(strings.Trim(c.path, "/"), "/")
	segments = segments[min(2, len(segments)):] // api/v1, or apis and the group
	if strings.HasPrefix(c.path, "/apis/") {
		segments = segments[min(1, len(segments)):] // the version
	}
	if len(segments) > 2 && segments[0] == "namespaces" {
		segments = segments[2:]
	}
	name := c.method + " " + segments[0]
	if len(segments) > 2 { // the name, and a subresource
		name += "/" + segments[2]
	}
	if c.status >= http.StatusBadRequest {
		name += fmt.Sprintf(" (%d)", c.status)
	}
	return name
}

// describe returns how many calls there are, and what they do.
func describe(calls []call) string {
	kinds := map[string]int{}
	for _, each := range calls {
		kinds[each.String()]++
	}
	texts := []string{strconv.Itoa(len(calls))}
	for _, kind := range slices.Sorted(maps.Keys(kinds)) {
		texts = append(texts, fmt.Sprintf("%d %s", kinds[kind], kind))
	}
	return strings.Join(texts, ", ")
}

// isIn reports whether a call is about an object in a namespace.
func (c call) isIn(namespace string) bool {
	return strings.Contains(c.path, "/namespaces/"+namespace+"/")
}

// isEvent reports whether a call writes an Event.
func (c call) isEvent() bool {
	return c.method != http.MethodGet && strings.Contains(c.path, "/events")
}

// isStatus reports whether a call writes the status of a RoseyBot.
func (c call) isStatus() bool {
	return c.method == http.MethodPut && strings.HasSuffix(c.path, "/status")
}

// isCreation reports whether a call has created an object that is neither an Event nor the lease.
func (c call) isCreation() bool {
	return c.method == http.MethodPost && c.status == http.StatusCreated && !c.isEvent() &&
		!strings.HasSuffix(c.path, "/leases")
}
