package web

import (
	"context"
	"net/http"
	"strings"
	"time"

	"rosey.dev/rosey/runtime/config"
	"rosey.dev/rosey/runtime/status"
)

// Access is who may use a page.
type Access int

// The kinds of access.
const (
	// ForAll is for what everybody may have: scripts, styles and the login.
	ForAll Access = iota
	// ForReaders is for who may read: everybody with web.public, else who has a token or is on this machine.
	ForReaders
	// ForPeople is for the pages about single persons: readers, as far as web.people lets them.
	ForPeople
	// ForTokens is for who has a token.
	ForTokens
	// ForProcess is for what is about the process: who has a token, or is on this machine. A public page is not.
	ForProcess
)

// tokenHeader is a header with a token, that of the Python bot's web page. "Authorization: Bearer TOKEN" is the same.
const tokenHeader = "X-API-Token"

// personKey is the key of the Person in the context of a request.
type personKey struct{}

// personOf returns who has sent a request, if they have presented a token.
func personOf(r *http.Request) (Person, bool) {
	person, found := r.Context().Value(personKey{}).(Person)
	return person, found
}

// guard calls next for those who may use it, with the person in the request's context. Others are asked to log in.
func (s *Server) guard(access Access, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		person, known, limited := s.identify(r)
		if limited {
			s.fail(w, r, http.StatusTooManyRequests, tooManyWrong)
			return
		}
		if known {
			r = r.WithContext(context.WithValue(r.Context(), personKey{}, person))
		}
		if !s.allows(access, r) {
			s.refuse(access, w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// refuse answers a request of somebody who does not have access.
func (s *Server) refuse(access Access, w http.ResponseWriter, r *http.Request) {
	if access == ForPeople && s.options.Config.People == config.PeopleOff {
		s.fail(w, r, http.StatusNotFound, "The pages about single persons are turned off.")
		return
	}
	s.askToLogIn(w, r)
}

// Private returns a handler for a path that is served at the address of the pages, but not below web.basePath: it calls
// next for ForProcess. What is private about a process names who is in the channel, so it must not be easier to reach
// than the pages.
func (s *Server) Private(next http.Handler) http.Handler {
	guarded := s.guard(ForProcess, next)
	if s.isAtRoot() {
		return withHeaders(guarded)
	}
	// The login is elsewhere, and so is the cookie of a session.
	return withHeaders(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r = r.Clone(r.Context())
		r.Header.Del("Accept")
		guarded.ServeHTTP(w, r)
	}))
}

// isAtRoot reports whether the pages are not below a path.
func (s *Server) isAtRoot() bool { return strings.Trim(s.options.Config.BasePath, "/") == "" }

// identify returns who has sent a request: by a cookie or a token in a header. limited reports that the token was not
// looked at, since there were too many wrong ones. A session is never limited: nobody can guess one.
func (s *Server) identify(r *http.Request) (person Person, known, limited bool) {
	if person, known = s.inSession(r); known {
		s.logins.right(addressOf(r), time.Now())
		return person, true, false
	}
	token := tokenIn(r)
	if token == "" {
		return Person{}, false, false
	}
	return s.logIn(r, token)
}

// inSession returns whose the session of a request is.
func (s *Server) inSession(r *http.Request) (person Person, known bool) {
	cookie, err := r.Cookie(sessionCookie)
	if err != nil {
		return Person{}, false
	}
	return s.personOfSession(cookie.Value, time.Now())
}

// tokenIn returns the token in the headers of a request, or "".
func tokenIn(r *http.Request) string {
	if token := r.Header.Get(tokenHeader); token != "" {
		return token
	}
	token, isBearer := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !isBearer {
		return ""
	}
	return token
}

// isStill reports whether a request that was a person's when it came is so still: the token may have been taken back or
// replaced. It is asked of requests that last. The token was right once, so that this is no guess, and the limits of
// wrong tokens have no part in it.
func (s *Server) isStill(person Person, r *http.Request) bool {
	current, known := s.inSession(r)
	if !known {
		current, known = s.tokens.find(tokenIn(r))
	}
	return known && current == person
}

// allows reports whether the sender of a request, whose person is in its context, has access.
func (s *Server) allows(access Access, r *http.Request) bool {
	_, known := personOf(r)
	mayRead := known || s.options.Config.Public || s.isLocal(r)
	switch access {
	case ForAll:
		return true
	case ForReaders:
		return mayRead
	case ForPeople:
		people := s.options.Config.People
		return mayRead && people != config.PeopleOff && (known || people != config.PeopleTokensOnly)
	case ForProcess:
		return known || s.isLocal(r)
	default:
		return known
	}
}

// forwardedPrefixes begin the names of the headers that proxies, tunnels and content delivery networks add. A request
// that has one may come from anywhere. The names are in their canonical form.
var forwardedPrefixes = []string{
	"Forwarded", "X-Forwarded", "X-Original-Forwarded", "X-Envoy-", "X-Real-", "X-Client-Ip", "X-Cluster-Client-Ip",
	"X-Proxyuser-Ip", "X-Auth-Request-", "Via", "Cf-", "Cdn-", "True-Client-Ip", "Fastly-", "Fly-", "X-Appengine-",
	"X-Azure-", "X-Amzn-", "X-Amz-", "Tailscale-",
}

// isPassedOn reports whether something has passed a request on. No browser speaks HTTP/1.0, and nginx does to what is
// behind it unless it is told otherwise.
func isPassedOn(r *http.Request) bool {
	if !r.ProtoAtLeast(1, 1) {
		return true
	}
	for name := range r.Header {
		for _, prefix := range forwardedPrefixes {
			if strings.HasPrefix(name, prefix) {
				return true
			}
		}
	}
	return false
}

// isLocal reports whether a request comes from this machine itself: the pages are on a loopback address alone, and
// nothing has passed the request on, as far as its host and its headers tell.
func (s *Server) isLocal(r *http.Request) bool {
	isNamed := status.IsHost(r.Host, s.options.Config.Host) // which only a proxy has
	return s.options.Loopback && status.IsLoopback(r.RemoteAddr) && !isNamed && !isPassedOn(r)
}
