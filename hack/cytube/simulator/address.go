package simulator

import (
	"net"
	"net/http"
	"strings"
)

// clientAddress is where a request comes from. CyTube trusts X-Forwarded-For from the loopback interface, which lets
// the clients of one machine have addresses of their own.
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
