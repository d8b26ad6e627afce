package cytube

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"rosey.dev/rosey/runtime/inside"
)

// connectTimeout bounds each attempt to open a connection, and the handshake of TLS.
const connectTimeout = 10 * time.Second

// newHTTPClient returns a client for one attempt: the next attempt must not reuse a broken connection. An outsideOnly
// client connects to no inside address: no visitor of a site on the Internet could reach a socket server there, and
// what it would reach are services of the bot's own network. dial is Options.DialContext.
func newHTTPClient(
	outsideOnly bool, dial func(ctx context.Context, network, address string) (net.Conn, error),
) (*http.Client, func()) {
	dialer := &net.Dialer{Timeout: connectTimeout}
	transport := &http.Transport{
		ForceAttemptHTTP2: true, DisableCompression: true,
		TLSHandshakeTimeout: connectTimeout, MaxResponseHeaderBytes: maxHeader,
		Proxy: inside.Proxy, OnProxyConnectResponse: checkProxyResponse,
	}
	if outsideOnly {
		dialer.Control = inside.Refuse
	}
	transport.DialContext = dialer.DialContext
	if dial != nil {
		transport.DialContext = dial
	}
	return &http.Client{Transport: transport, CheckRedirect: checkRedirect}, transport.CloseIdleConnections
}

// checkRedirect follows a redirect within a server: from anywhere else a hostile or captured site could have the bot
// send requests to servers that only the bot reaches, or without encryption.
func checkRedirect(request *http.Request, via []*http.Request) error {
	first := via[0].URL
	if request.URL.Scheme != first.Scheme || request.URL.Host != first.Host {
		return fmt.Errorf("it redirects to %s, and the bot follows no redirect to another host or scheme",
			serverText(request.URL.Scheme+"://"+request.URL.Host))
	}
	if len(via) > maxRedirects {
		return errors.New("it redirects again and again")
	}
	return nil
}

// isProxied reports whether requests to a WebSocket go through a proxy. It is the administrator's, and decides what may
// be reached.
func isProxied(webSocket string) bool {
	address, err := url.Parse(strings.Replace(webSocket, "ws", "http", 1))
	if err != nil {
		return false
	}
	proxy, err := inside.Proxy(&http.Request{URL: address})
	return err == nil && proxy != nil
}

// checkProxyResponse returns an *Error for a proxy's response to CONNECT that opens no connection.
func checkProxyResponse(_ context.Context, proxy *url.URL, _ *http.Request, response *http.Response) error {
	if response.StatusCode == http.StatusOK {
		return nil
	}
	host := "the proxy " + serverText(proxy.Host) // not the URL, which may have a password
	return responseError(host, host+" does not connect to the server:", response, nil)
}
