package web

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	// sessionCookie is the name of the cookie of a session.
	sessionCookie = "rosey_session"
	// sessionLength is how long a login lasts.
	sessionLength = 7 * 24 * time.Hour
	// sessionPurpose is signed together with the rest, so that the HMAC is of use for nothing else.
	sessionPurpose = "rosey session v1"
)

// newSession returns the value of the cookie of a session: name, expiry in Unix seconds and HMAC. The name is encoded
// because it may contain the dots that separate the parts.
func newSession(person Person, token string, expires time.Time) string {
	name := base64.RawURLEncoding.EncodeToString([]byte(person.key))
	expiry := strconv.FormatInt(expires.Unix(), 10)
	return name + "." + expiry + "." + signSession(token, name, expiry)
}

func signSession(token, name, expiry string) string {
	mac := hmac.New(sha256.New, []byte(token))
	mac.Write([]byte(sessionPurpose + "\n" + name + "\n" + expiry))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// personOfSession returns whose session the value of a cookie is. It is nobody's when it has expired, was not signed
// with the person's token of now, or when the person has none any more.
func (s *Server) personOfSession(value string, now time.Time) (Person, bool) {
	parts := strings.Split(value, ".")
	if len(parts) != 3 {
		return Person{}, false
	}
	key, err := base64.RawURLEncoding.DecodeString(parts[0])
	token, known := s.tokens.tokenOf(string(key))
	if err != nil || !known || !hmac.Equal([]byte(parts[2]), []byte(signSession(token, parts[0], parts[1]))) {
		return Person{}, false
	}
	expires, err := strconv.ParseInt(parts[1], 10, 64)
	if err != nil || !now.Before(time.Unix(expires, 0)) {
		return Person{}, false
	}
	return newPerson(string(key)), true
}

// isTLS reports whether the browser has sent a request by TLS, to this process or to a proxy before it. Who forges the
// header only has a cookie of their own sent less often.
func isTLS(r *http.Request) bool {
	return r.TLS != nil || strings.EqualFold(r.Header.Get("X-Forwarded-Proto"), "https")
}

// setSession logs a person in with a cookie. An empty value logs out.
func (s *Server) setSession(w http.ResponseWriter, r *http.Request, value string, expires time.Time) {
	cookie := &http.Cookie{ //nolint:gosec // Secure where the request came by TLS: else it would never come back
		Name: sessionCookie, Value: value, Path: s.options.Config.BasePath, Expires: expires,
		HttpOnly: true, SameSite: http.SameSiteLaxMode, Secure: isTLS(r),
	}
	if value == "" {
		cookie.MaxAge = -1
	}
	http.SetCookie(w, cookie)
}
