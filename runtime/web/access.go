package web

import (
	"context"
	"net/http"
	"strings"
	"time"

	"rosey.dev/rosey/runtime/config"
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
			s.fail(w, r, http.StatusTooManyRequests, "Too many wrong tokens from your address: wait a minute.")
			return
		}
		if known {
			r = r.WithContext(context.WithValue(r.Context(), personKey{}, person))
		}
		switch {
		case s.allows(access, r):
			next.ServeHTTP(w, r)
		case access == ForPeople && s.options.Config.People == config.PeopleOff:
			s.fail(w, r, http.StatusNotFound, "The pages about single persons are turned off.")
		default:
			s.askToLogIn(w, r)
		}
	})
}

// identify returns who has sent a request: by a cookie or a token in a header. limited reports that the token was not
// looked at, since there were too many wrong ones.
func (s *Server) identify(r *http.Request) (person Person, known, limited bool) {
	if cookie, err := r.Cookie(sessionCookie); err == nil {
		if person, known = s.personOfSession(cookie.Value, time.Now()); known {
			return person, true, false
		}
	}
	token := r.Header.Get(tokenHeader)
	if bearer, isBearer := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); token == "" && isBearer {
		token = bearer
	}
	if token == "" {
		return Person{}, false, false
	}
	return s.logIn(r, token)
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
	default:
		return known
	}
}

// forwardedHeaders are set by proxies. A request that has one may come from anywhere.
var forwardedHeaders = []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Real-Ip", "Via"}

// isLocal reports whether a request comes from this machine itself: the pages are on a loopback address alone, and no
// proxy has passed the request on.
func (s *Server) isLocal(r *http.Request) bool {
	if !s.options.Loopback {
		return false
	}
	for _, header := range forwardedHeaders {
		if r.Header.Get(header) != "" {
			return false
		}
	}
	return true
}
