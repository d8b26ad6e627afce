package cytube

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"syscall"
	"time"
)

// connectTimeout bounds each attempt to open a connection, and the handshake of TLS.
const connectTimeout = 10 * time.Second

// newHTTPClient returns a client for one attempt: the next attempt must not reuse a broken connection. An outsideOnly
// client connects to no inside address. dial is Options.DialContext.
func newHTTPClient(
	outsideOnly bool, dial func(ctx context.Context, network, address string) (net.Conn, error),
) (*http.Client, func()) {
	dialer := &net.Dialer{Timeout: connectTimeout}
	transport := &http.Transport{
		ForceAttemptHTTP2: true, DisableCompression: true,
		TLSHandshakeTimeout: connectTimeout, MaxResponseHeaderBytes: maxHeader,
		Proxy: proxyFromEnvironment, OnProxyConnectResponse: checkProxyResponse,
	}
	if outsideOnly {
		dialer.Control = refuseInside
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

// errInside is the error for a site on the Internet that names a socket server on an inside network. No visitor could
// reach such a server: what it would reach are services of the bot's own network.
var errInside = errors.New("the address is in a private network, and the site is not")

// refuseInside is the Control of a net.Dialer. It sees the address after the name has been looked up.
func refuseInside(_, address string, _ syscall.RawConn) error {
	if isInside(address) {
		return errInside
	}
	return nil
}

// sharedAddresses are those between a provider and its customers (RFC 6598). Some clusters use them for pods.
var sharedAddresses = netip.MustParsePrefix("100.64.0.0/10")

// isInside reports whether an address with a port is on this machine or in a private network.
func isInside(address string) bool {
	parsed, err := netip.ParseAddrPort(address)
	if err != nil {
		return true
	}
	ip := translated(parsed.Addr().Unmap().WithZone(""))
	return !ip.IsGlobalUnicast() || ip.IsPrivate() || sharedAddresses.Contains(ip) || localTranslation.Contains(ip)
}

var (
	// translation is where IPv6 networks reach IPv4 addresses, public and private ones (NAT64, RFC 6052), and
	// localTranslation the same with a prefix of the network's own (RFC 8215).
	translation      = netip.MustParsePrefix("64:ff9b::/96")
	localTranslation = netip.MustParsePrefix("64:ff9b:1::/48")
)

// translated returns the IPv4 address that an IPv6 address stands for, and else the address.
func translated(ip netip.Addr) netip.Addr {
	if bytes := ip.As16(); translation.Contains(ip) {
		return netip.AddrFrom4([4]byte(bytes[12:]))
	}
	return ip
}

// isProxied reports whether requests to a WebSocket go through a proxy. It is the administrator's, and decides what may
// be reached.
func isProxied(webSocket string) bool {
	address, err := url.Parse(strings.Replace(webSocket, "ws", "http", 1))
	if err != nil {
		return false
	}
	proxy, err := proxyFromEnvironment(&http.Request{URL: address})
	return err == nil && proxy != nil
}

// proxyFromEnvironment is http.ProxyFromEnvironment with an error that does not quote the proxy's URL: it may have a
// password.
func proxyFromEnvironment(request *http.Request) (*url.URL, error) {
	proxy, err := http.ProxyFromEnvironment(request)
	if err != nil {
		return nil, errors.New("the proxy in the environment (HTTPS_PROXY or HTTP_PROXY) is no URL, " +
			"expected http(s)://host:port or socks5://host:port")
	}
	return proxy, nil
}

// checkProxyResponse returns an *Error for a proxy's response to CONNECT that opens no connection.
func checkProxyResponse(_ context.Context, proxy *url.URL, _ *http.Request, response *http.Response) error {
	if response.StatusCode == http.StatusOK {
		return nil
	}
	host := "the proxy " + serverText(proxy.Host) // not the URL, which may have a password
	return responseError(host, host+" does not connect to the server:", response, nil)
}
