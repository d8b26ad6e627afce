package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
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
	l.calls = append(l.calls, call{response.Request.Method, response.Request.URL.Path, response.StatusCode, time.Now()})
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

// isCreation reports whether a call has created an object that is no Event.
func (c call) isCreation() bool {
	return c.method == http.MethodPost && c.status == http.StatusCreated && !c.isEvent()
}
