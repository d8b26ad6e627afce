package plugin

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"rosey.dev/rosey/runtime/inside"
	"rosey.dev/rosey/runtime/status"
)

// HTTPOptions configure an HTTPClient.
type HTTPOptions struct {
	// AllowPrivate lets it connect to this machine and to private networks, and through the proxy of the environment,
	// which decides itself where it connects to. Without it, requests for which the environment has a proxy fail.
	AllowPrivate bool
	// MaxBytes bounds the body of a response. 0: 64 KiB. What is longer is an error when it is read.
	MaxBytes int64
}

// HTTPClient sends requests to servers outside. It connects to inside addresses only if it may, whatever names and
// redirects lead to; it follows few redirects and none to another host, so that no header with a key goes elsewhere;
// and its errors tell neither the URL, which may have a key, nor what the server has written. Each request has a
// connection of its own, and should have a context that ends.
type HTTPClient struct {
	client   http.Client
	maxBytes int64
}

const (
	// connectTimeout bounds each attempt to open a connection, and the handshake of TLS.
	connectTimeout = 10 * time.Second
	maxHeaderBytes = 64 << 10
	maxBodyBytes   = 64 << 10
	maxRedirects   = 3
)

// errProxied is the error where a proxy hides which address is reached.
var errProxied = errors.New("the environment has a proxy (HTTPS_PROXY or HTTP_PROXY), and behind it nobody sees " +
	"whether an address is in a private network: allow private addresses, or except the host by NO_PROXY")

// NewHTTPClient returns an HTTPClient. It keeps nothing that must be closed.
func NewHTTPClient(o HTTPOptions) *HTTPClient {
	dialer := &net.Dialer{Timeout: connectTimeout}
	transport := &http.Transport{
		DialContext: dialer.DialContext, TLSHandshakeTimeout: connectTimeout, MaxResponseHeaderBytes: maxHeaderBytes,
		DisableKeepAlives: true, DisableCompression: true, Proxy: inside.Proxy,
	}
	if !o.AllowPrivate {
		dialer.Control = inside.Refuse
		transport.Proxy = func(request *http.Request) (*url.URL, error) {
			if proxy, err := inside.Proxy(request); proxy != nil || err != nil {
				return nil, errProxied
			}
			return nil, nil //nolint:nilnil // it means that there is no proxy
		}
	}
	if o.MaxBytes <= 0 {
		o.MaxBytes = maxBodyBytes
	}
	return &HTTPClient{client: http.Client{Transport: transport, CheckRedirect: checkRedirect}, maxBytes: o.MaxBytes}
}

// redirectError is the error about a redirect that is not followed.
type redirectError string

func (e redirectError) Error() string { return string(e) }

// checkRedirect follows a redirect to the same port of the same host, and from http to https if both are at the ports
// that these have: anything else may be the server of somebody else.
func checkRedirect(request *http.Request, via []*http.Request) error {
	first, to := via[0].URL, request.URL
	isSame := to.Scheme == first.Scheme && port(to) == port(first)
	isEncryptedNow := first.Scheme == "http" && port(first) == "80" && to.Scheme == "https" && port(to) == "443"
	switch {
	case len(via) > maxRedirects:
		return redirectError("it redirects again and again")
	case to.Hostname() != first.Hostname() || !isSame && !isEncryptedNow:
		return redirectError("it redirects to another host or port, or to one without encryption, which is not followed")
	}
	return nil
}

// port returns the port of a URL with http or https.
func port(address *url.URL) string {
	switch {
	case address.Port() != "":
		return address.Port()
	case address.Scheme == "https":
		return "443"
	}
	return "80"
}

// Do sends a request. The errors of the response's body are as those of Do.
func (c *HTTPClient) Do(request *http.Request) (*http.Response, error) {
	if request.Header.Get("User-Agent") == "" {
		request.Header.Set("User-Agent", "rosey-plugin (of a bot for CyTube channels)")
	}
	response, err := c.client.Do(request) //nolint:gosec // that it reaches nothing inside is what it is for
	if err != nil {
		return nil, httpError(err)
	}
	response.Body = body{http.MaxBytesReader(nil, response.Body, c.maxBytes)}
	return response, nil
}

// body is a body with the errors of an HTTPClient.
type body struct{ io.ReadCloser }

// Read implements io.Reader.
func (b body) Read(to []byte) (int, error) {
	n, err := b.ReadCloser.Read(to)
	if err != nil && err != io.EOF { //nolint:errorlint // readers return it as it is
		err = httpError(err)
	}
	return n, err
}

// httpError returns an error that says why a request failed, and nothing of the URL or of what the server wrote.
func httpError(err error) error {
	redirect, isRedirect := errors.AsType[redirectError](err)
	lookup, isLookup := errors.AsType[*net.DNSError](err)
	tooLarge, isTooLarge := errors.AsType[*http.MaxBytesError](err)
	certificate, isCertificate := errors.AsType[*tls.CertificateVerificationError](err)
	operation, isOperation := errors.AsType[*net.OpError](err)
	switch {
	case errors.Is(err, inside.ErrRefused):
		return inside.ErrRefused
	case errors.Is(err, errProxied):
		return errProxied
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		return fmt.Errorf("no answer in time: %w", context.DeadlineExceeded)
	case errors.Is(err, context.Canceled):
		return context.Canceled
	case isRedirect:
		return redirect
	case isLookup:
		return fmt.Errorf("its host cannot be looked up: %s", status.OneLine(lookup.Err, maxErrorText))
	case isTooLarge:
		return fmt.Errorf("the answer is too large, expected at most %d bytes", tooLarge.Limit)
	case isCertificate:
		return fmt.Errorf("its certificate is not accepted: %s", status.OneLine(certificate.Err.Error(), maxErrorText))
	case isOperation:
		return fmt.Errorf("%s: %s", operation.Op, status.OneLine(operation.Err.Error(), maxErrorText))
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("the connection was closed before the end: %w", io.ErrUnexpectedEOF)
	case strings.Contains(err.Error(), "server gave HTTP response to HTTPS client"):
		return errors.New("it does not use TLS, as https demands")
	}
	return errors.New("it does not answer as an HTTP server does")
}
