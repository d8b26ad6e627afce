package simulator

import (
	"net"
	"net/http"
	"strings"
)

// clientAddress returns a request's client address. CyTube trusts X-Forwarded-For from the loopback interface, so that
// clients on one machine can have different addresses.
func clientAddress(r *http.Request) string {
	address := host(r.RemoteAddr)
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for i := len(hops) - 1; i >= 0 && isLoopback(address); i-- {
		hop := strings.TrimSpace(hops[i])
		if hop == "" {
			break
		}
		address = hop
	}
	return address
}

func host(address string) string {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return address
	}
	return host
}

func isLoopback(address string) bool {
	ip := net.ParseIP(address)
	return ip != nil && ip.IsLoopback()
}
