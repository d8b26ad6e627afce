package web

import (
	"maps"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

const (
	// wrongTokens is how many wrong tokens an address may present at once, and wrongTokensEvery how long it takes until
	// it may present another one. A script with an old token, or somebody who guesses by hand, stays far below: whoever
	// has the same address, such as that of a proxy, can log in meanwhile.
	wrongTokens      = 100
	wrongTokensEvery = 500 * time.Millisecond
	// allWrongTokens is how many wrong tokens all addresses where nobody has a token may present together at once, and
	// allWrongTokensEvery as for one. So all of them together guess less than two million tokens a day.
	allWrongTokens      = 1000
	allWrongTokensEvery = 50 * time.Millisecond
	// maxAddresses bounds the addresses that are remembered.
	maxAddresses = 4096
)

// addressLimit is what is remembered of an address.
type addressLimit struct {
	wrong *rate.Limiter
	// right reports whether somebody there has a token. What others guess elsewhere does not limit such an address.
	right bool
}

// isForgettable reports whether nothing is lost with what is remembered of the address.
func (a *addressLimit) isForgettable(now time.Time) bool {
	return !a.right && a.wrong.TokensAt(now) >= wrongTokens
}

// loginLimits limits the wrong tokens of each address and of all of them. Right tokens do not count, and sessions are
// not limited.
type loginLimits struct {
	mu        sync.Mutex
	all       *rate.Limiter
	addresses map[string]*addressLimit
}

func newLoginLimits() *loginLimits {
	return &loginLimits{
		all: rate.NewLimiter(rate.Every(allWrongTokensEvery), allWrongTokens), addresses: map[string]*addressLimit{},
	}
}

// of returns the limits of an address. When too many are remembered, those with nothing to remember are forgotten, then
// those where nobody has a token, and if there are none, all: the limit of all addresses together still holds.
func (l *loginLimits) of(address string, now time.Time) *addressLimit {
	if its, known := l.addresses[address]; known {
		return its
	}
	for _, forget := range []func(*addressLimit) bool{
		func(its *addressLimit) bool { return its.isForgettable(now) },
		func(its *addressLimit) bool { return !its.right },
		func(*addressLimit) bool { return true },
	} {
		if len(l.addresses) >= maxAddresses {
			maps.DeleteFunc(l.addresses, func(_ string, its *addressLimit) bool { return forget(its) })
		}
	}
	its := &addressLimit{wrong: rate.NewLimiter(rate.Every(wrongTokensEvery), wrongTokens)}
	l.addresses[address] = its
	return its
}

// mayTry reports whether a token of an address is looked at.
func (l *loginLimits) mayTry(address string, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	its := l.of(address, now)
	return its.wrong.TokensAt(now) >= 1 && (its.right || l.all.TokensAt(now) >= 1)
}

// wrong counts a wrong token.
func (l *loginLimits) wrong(address string, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	its := l.of(address, now)
	its.wrong.AllowN(now, 1)
	if !its.right {
		l.all.AllowN(now, 1)
	}
}

// right remembers that somebody at an address has a token.
func (l *loginLimits) right(address string, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.of(address, now).right = true
}

// addressOf returns whose wrong tokens those of a request are: the address that has connected, and the one that it says
// it has passed the request on for, if it is a proxy. Of several it is the last, which the nearest proxy has written.
// Who forges it only gets round the limit of one address. An IPv6 address counts as its network: a household has one.
func addressOf(r *http.Request) string {
	address := networkOf(r.RemoteAddr)
	if all := r.Header.Values("X-Forwarded-For"); len(all) > 0 {
		last := all[len(all)-1]
		address += " " + networkOf(strings.TrimSpace(last[strings.LastIndex(last, ",")+1:]))
	}
	return address
}

// maxAddressLength bounds an address that is none.
const maxAddressLength = 64

// networkOf returns the IPv4 address, or the network of the IPv6 address, with or without a port.
func networkOf(text string) string {
	if host, _, err := net.SplitHostPort(text); err == nil {
		text = host
	}
	address, err := netip.ParseAddr(text)
	if err != nil {
		return text[:min(len(text), maxAddressLength)]
	}
	if address = address.Unmap().WithZone(""); address.Is4() {
		return address.String()
	}
	return netip.PrefixFrom(address, 64).Masked().String()
}
