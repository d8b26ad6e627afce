package main

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptrace"

	"k8s.io/client-go/rest"
)

// roundTripper is a function that is an http.RoundTripper.
type roundTripper func(*http.Request) (*http.Response, error)

// RoundTrip implements http.RoundTripper.
func (r roundTripper) RoundTrip(request *http.Request) (*http.Response, error) { return r(request) }

// interruptible returns a configuration for a connection that is upgraded to a WebSocket, and that ends with ctx while
// it waits for the answer: the library watches no context then, so a kubelet, or a proxy in front of the API server,
// that hangs would hold a command after Ctrl-C. It does nothing for SPDY, nor for a proxy that is to connect first.
func interruptible(ctx context.Context, config *rest.Config) *rest.Config {
	config = rest.CopyConfig(config)
	config.Wrap(func(next http.RoundTripper) http.RoundTripper {
		return roundTripper(func(request *http.Request) (*http.Response, error) {
			release := func() bool { return true }
			traced := httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(got httptrace.GotConnInfo) {
				release = context.AfterFunc(ctx, func() { _ = got.Conn.Close() }) // the read that it ends says why
			}})
			response, err := next.RoundTrip(request.WithContext(traced))
			if !release() {
				return nil, fmt.Errorf("connecting: %w", context.Cause(ctx))
			}
			return response, err //nolint:wrapcheck // the caller says what it was
		})
	})
	return config
}

// abandonable runs call, which ends by itself when ctx ends, unless it waits where interruptible does nothing. Then
// abandonable returns all the same, and the process, which is about to end, owns the goroutine.
func abandonable(ctx context.Context, call func() error) error {
	ended := make(chan error, 1)
	go func() { ended <- call() }()
	select {
	case err := <-ended:
		if err != nil && ctx.Err() != nil {
			return context.Cause(ctx) //nolint:wrapcheck // the caller says what it was
		}
		return err
	case <-ctx.Done():
		return context.Cause(ctx) //nolint:wrapcheck // as above
	}
}
