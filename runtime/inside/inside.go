// Package inside tells addresses of this machine and of private networks from those of the Internet, so that nobody on
// the Internet can have a process of ours connect to what only it reaches.
package inside

import (
	"errors"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
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

// Is reports whether an address with a port is on this machine, in a private network, or in one that is not part of the
// Internet for another reason. What is no address is.
func Is(address string) bool {
	parsed, err := netip.ParseAddrPort(address)
	if err != nil {
		return true
	}
	ip := translated(parsed.Addr().Unmap().WithZone(""))
	return !ip.IsGlobalUnicast() || ip.IsPrivate() ||
		slices.ContainsFunc(special, func(network netip.Prefix) bool { return network.Contains(ip) })
}

// special are networks that netip does not tell from those of the Internet.
var special = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"),     // this host, on some systems (RFC 1122)
	netip.MustParsePrefix("100.64.0.0/10"), // between a provider and its customers (RFC 6598); pods of some clusters
	netip.MustParsePrefix("192.0.0.0/24"),  // of protocols (RFC 6890); Oracle's cloud has credentials there
	netip.MustParsePrefix("198.18.0.0/15"), // benchmarks inside a network (RFC 2544); pods of our local clusters
	netip.MustParsePrefix("240.0.0.0/4"),   // reserved, and used inside by some networks (RFC 1112)
	// Azure's own service for each virtual machine, which pods reach too. The address looks like a public one.
	netip.MustParsePrefix("168.63.129.16/32"),
	netip.MustParsePrefix("fec0::/10"), // private, formerly (RFC 3879); QEMU's network for its user
	// The others have an IPv4 address inside, public or private.
	netip.MustParsePrefix("::/96"),          // IPv4-compatible (RFC 4291)
	netip.MustParsePrefix("64:ff9b:1::/48"), // NAT64 with a prefix of the network's own (RFC 8215)
	netip.MustParsePrefix("2001::/32"),      // Teredo (RFC 4380)
	netip.MustParsePrefix("2002::/16"),      // 6to4 (RFC 3056)
}

// translation is where IPv6 networks reach IPv4 addresses, public and private ones (NAT64, RFC 6052).
var translation = netip.MustParsePrefix("64:ff9b::/96")

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
