package web

import (
	"maps"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"rosey.dev/rosey/runtime/status"
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

// logIn returns who has a token. limited reports that it was not looked at.
func (s *Server) logIn(r *http.Request, token string) (person Person, known, limited bool) {
	now, address := time.Now(), addressOf(r)
	if !s.logins.mayTry(address, now) {
		s.metrics.logins.WithLabelValues(loginLimited).Inc()
		return Person{}, false, true
	}
	if person, known = s.tokens.find(token); !known {
		s.logins.wrong(address, now)
		s.metrics.logins.WithLabelValues(loginWrong).Inc()
		return Person{}, false, false
	}
	s.logins.right(address, now)
	s.metrics.logins.WithLabelValues(loginRight).Inc()
	return person, true, false
}

// tooManyWrong is said where a token was not looked at.
const tooManyWrong = "Too many wrong tokens were sent: wait a minute and try again."

func (s *Server) loginPages() []page {
	return []page{
		{"GET /login", ForAll, s.serveLogin},
		{"POST /login", ForAll, s.postLogin},
		{"POST /logout", ForAll, s.postLogout},
	}
}

// loginView is the content of the login page.
type loginView struct {
	// Next is where to go after the login, a path below the root without a slash at its beginning.
	Next string
	// Wrong is what is wrong with the token that was sent.
	Wrong string
	// Possible reports whether anybody may log in.
	Possible bool
	// Unencrypted reports whether whoever is between the browser and the pages can read the token.
	Unencrypted bool
}

// checkQuery is the query of the page to which a login leads, which looks whether the browser has kept the cookie.
const checkQuery = "check"

func (s *Server) serveLogin(w http.ResponseWriter, r *http.Request) {
	query, code := r.URL.Query(), http.StatusOK
	content := loginView{Next: safeNext(query.Get("next"))}
	_, known := personOf(r)
	_, noCookie := r.Cookie(sessionCookie)
	switch {
	case query.Has(checkQuery) && known:
		redirect(w, rootOf(r)+content.Next)
		return
	case query.Has(checkQuery):
		content.Wrong, code = notKept(r), http.StatusForbidden
	case noCookie == nil && !known:
		content.Wrong = "Your login has ended: it lasts for a week, and no longer than the token. Log in again."
	}
	s.renderLogin(w, r, code, content)
}

// notKept says why a browser has not kept the cookie of a session that it was given.
func notKept(r *http.Request) string {
	if isTLS(r) {
		return "The token is right, but your browser has not kept the login. It keeps it for https:// alone, as which the " +
			"proxy before this page has passed the request on: open the page with https://, or have the proxy set " +
			"X-Forwarded-Proto to what browsers use. Otherwise, allow cookies for this page."
	}
	return "The token is right, but your browser has not kept the login: allow cookies for this page. If you have " +
		"logged in here with https:// before, open the page with https:// again."
}

func (s *Server) renderLogin(w http.ResponseWriter, r *http.Request, code int, content loginView) {
	content.Possible, content.Unencrypted = s.tokens.any(), !isTLS(r) && !status.IsLoopback(r.Host)
	s.render(w, r, code, "login.html", view{Title: "Log in", Data: content})
}

func (s *Server) postLogin(w http.ResponseWriter, r *http.Request) {
	next := safeNext(r.PostFormValue("next"))
	token := strings.TrimSpace(r.PostFormValue("token"))
	person, known, limited := s.logIn(r, token)
	switch {
	case limited:
		s.renderLogin(w, r, http.StatusTooManyRequests, loginView{Next: next, Wrong: tooManyWrong})
	case !known:
		s.renderLogin(w, r, http.StatusForbidden, loginView{Next: next, Wrong: "Nobody has this token, or nobody has it " +
			"any more. Ask whoever runs the bot for one."})
	default:
		expires := time.Now().Add(sessionLength)
		if own, found := s.tokens.tokenOf(person.key); found {
			s.setSession(w, r, newSession(person, own, expires), expires)
		}
		redirect(w, rootOf(r)+"login?"+url.Values{checkQuery: {"1"}, "next": {next}}.Encode())
	}
}

func (s *Server) postLogout(w http.ResponseWriter, r *http.Request) {
	s.setSession(w, r, "", time.Unix(1, 0))
	redirect(w, rootOf(r))
}

// askToLogIn answers a request of somebody who may not use a page: by sending a browser to the login page, and
// everything else away.
func (s *Server) askToLogIn(w http.ResponseWriter, r *http.Request) {
	isPage := r.Method == http.MethodGet && strings.Contains(r.Header.Get("Accept"), "text/html")
	if !isPage || isAPI(r) || r.Header.Get("HX-Request") != "" {
		s.fail(w, r, http.StatusUnauthorized, "Log in with a token first.")
		return
	}
	next := strings.TrimPrefix(r.URL.EscapedPath(), "/")
	if r.URL.RawQuery != "" {
		next += "?" + r.URL.RawQuery
	}
	redirect(w, rootOf(r)+"login?next="+url.QueryEscape(next))
}

// redirect sends a browser to a relative URL. http.Redirect would make it absolute, and a proxy may have stripped a
// part of the path.
func redirect(w http.ResponseWriter, relative string) {
	w.Header().Set("Location", relative)
	w.WriteHeader(http.StatusSeeOther)
}

// safeNext returns a path below the root of the pages, or "" for anything else: a link to the login must not lead to
// another site.
func safeNext(next string) string {
	parsed, err := url.Parse(next)
	isInside := err == nil && parsed.Scheme == "" && parsed.Host == "" && parsed.Opaque == "" &&
		!strings.HasPrefix(next, "/") && !strings.ContainsAny(next, "\\\r\n\t") && !strings.Contains(parsed.Path, "..")
	if !isInside {
		return ""
	}
	return parsed.String()
}
