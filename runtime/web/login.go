package web

import (
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

const (
	// wrongTokens is how many wrong tokens an address may present at once, and wrongTokensEvery how long it takes until
	// it may present another one. All addresses together may present as many as allWrongTokens at once.
	wrongTokens      = 10
	wrongTokensEvery = 6 * time.Second
	allWrongTokens   = 200
	// maxAddresses bounds the addresses that are remembered.
	maxAddresses = 4096
)

// loginLimits limits the wrong tokens of each address and of all of them. Right tokens do not count.
type loginLimits struct {
	mu        sync.Mutex
	all       *rate.Limiter
	addresses map[string]*rate.Limiter
}

func newLoginLimits() *loginLimits {
	return &loginLimits{
		all:       rate.NewLimiter(rate.Every(wrongTokensEvery/wrongTokens), allWrongTokens),
		addresses: map[string]*rate.Limiter{},
	}
}

// of returns the limits of an address. When too many are remembered, those with nothing to remember are forgotten, and
// if there are none, all: the limit of all addresses together still holds.
func (l *loginLimits) of(address string, now time.Time) *rate.Limiter {
	limiter, known := l.addresses[address]
	if known {
		return limiter
	}
	if len(l.addresses) >= maxAddresses {
		for other, its := range l.addresses {
			if its.TokensAt(now) >= wrongTokens {
				delete(l.addresses, other)
			}
		}
	}
	if len(l.addresses) >= maxAddresses {
		clear(l.addresses)
	}
	limiter = rate.NewLimiter(rate.Every(wrongTokensEvery), wrongTokens)
	l.addresses[address] = limiter
	return limiter
}

// mayTry reports whether a token of an address is looked at.
func (l *loginLimits) mayTry(address string, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all.TokensAt(now) >= 1 && l.of(address, now).TokensAt(now) >= 1
}

// wrong counts a wrong token.
func (l *loginLimits) wrong(address string, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all.AllowN(now, 1)
	l.of(address, now).AllowN(now, 1)
}

// logIn returns who has a token. limited reports that it was not looked at.
func (s *Server) logIn(r *http.Request, token string) (person Person, known, limited bool) {
	now := time.Now()
	address, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		address = r.RemoteAddr
	}
	if !s.logins.mayTry(address, now) {
		s.metrics.logins.WithLabelValues(loginLimited).Inc()
		return Person{}, false, true
	}
	if person, known = s.tokens.find(token); !known {
		s.logins.wrong(address, now)
		s.metrics.logins.WithLabelValues(loginWrong).Inc()
		return Person{}, false, false
	}
	s.metrics.logins.WithLabelValues(loginRight).Inc()
	return person, true, false
}

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
}

func (s *Server) serveLogin(w http.ResponseWriter, r *http.Request) {
	s.renderLogin(w, r, http.StatusOK, loginView{Next: safeNext(r.URL.Query().Get("next"))})
}

func (s *Server) renderLogin(w http.ResponseWriter, r *http.Request, code int, content loginView) {
	content.Possible = s.tokens.any()
	s.render(w, r, code, "login.html", view{Title: "Log in", Data: content})
}

func (s *Server) postLogin(w http.ResponseWriter, r *http.Request) {
	next := safeNext(r.PostFormValue("next"))
	token := strings.TrimSpace(r.PostFormValue("token"))
	person, known, limited := s.logIn(r, token)
	switch {
	case limited:
		s.renderLogin(w, r, http.StatusTooManyRequests,
			loginView{Next: next, Wrong: "Too many wrong tokens from your address: wait a minute and try again."})
	case !known:
		s.renderLogin(w, r, http.StatusForbidden, loginView{Next: next, Wrong: "Nobody has this token, or nobody has it " +
			"any more. Ask whoever runs the bot for one."})
	default:
		expires := time.Now().Add(sessionLength)
		if own, found := s.tokens.tokenOf(person.key); found {
			s.setSession(w, r, newSession(person, own, expires), expires)
		}
		redirect(w, rootOf(r)+next)
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
	next := strings.TrimPrefix(r.URL.Path, "/")
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
