// Package inside tells addresses of this machine and of private networks from those of the Internet, so that nobody on
// the Internet can have a process of ours connect to what only it reaches.
package inside

import (
	"errors"
	"net/http"
	"net/netip"
	"net/url"
	"syscall"
)

// ErrRefused is the error of Refuse.
var ErrRefused = errors.New("the address is in a private network")

// Refuse is the Control of a net.Dialer that connects to no inside address. It sees the address after the name has been
// looked up, so neither a name nor a redirect leads past it. A proxy does: it is the proxy that looks the name up, and
// Refuse sees the address of the proxy alone.
func Refuse(_, address string, _ syscall.RawConn) error {
	if Is(address) {
		return ErrRefused
	}
	return nil
}

// sharedAddresses are those between a provider and its customers (RFC 6598). Some clusters use them for pods.
var sharedAddresses = netip.MustParsePrefix("100.64.0.0/10")

// Is reports whether an address with a port is on this machine or in a private network. What is no address is.
func Is(address string) bool {
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

// Proxy is http.ProxyFromEnvironment with an error that does not quote the proxy's URL: it may have a password.
func Proxy(request *http.Request) (*url.URL, error) {
	proxy, err := http.ProxyFromEnvironment(request)
	if err != nil {
		return nil, errors.New("the proxy in the environment (HTTPS_PROXY or HTTP_PROXY) is no URL, " +
			"expected http(s)://host:port or socks5://host:port")
	}
	return proxy, nil
}
