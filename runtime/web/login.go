package web

import (
	"net/http"
	"net/url"
	"strings"
	"time"

	"rosey.dev/rosey/runtime/status"
)

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
