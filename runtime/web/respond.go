package web

import (
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"rosey.dev/rosey/runtime/status"
)

func writeHTML(w http.ResponseWriter, code int, body []byte) {
	setRetryAfter(w, code)
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(code)
	_, _ = w.Write(body) //nolint:gosec // html/template has escaped it; it fails if the client has gone away
}

// setRetryAfter tells programs when to try again, where the same request may succeed later.
func setRetryAfter(w http.ResponseWriter, code int) {
	if code == http.StatusTooManyRequests || code == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "5")
	}
}

// fail answers with an error: JSON for a program, a page for a browser, a line for everything else.
func (s *Server) fail(w http.ResponseWriter, r *http.Request, code int, message string) {
	setRetryAfter(w, code)
	if isAPI(r) {
		failAPI(w, code, message)
		return
	}
	if !strings.Contains(r.Header.Get("Accept"), "text/html") || r.Header.Get("HX-Request") != "" {
		http.Error(w, status.OneLine(message, maxMessage), code)
		return
	}
	s.render(w, r, code, "problem.html", view{Title: http.StatusText(code), Data: message})
}

// maxMessage bounds a message in characters.
const maxMessage = 500

// methodNotAllowed answers requests for a path with another method than the allowed ones.
func (s *Server) methodNotAllowed(allowed []string) http.Handler {
	if slices.Contains(allowed, http.MethodGet) {
		allowed = append(allowed, http.MethodHead)
	}
	slices.Sort(allowed)
	list := strings.Join(allowed, ", ")
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Allow", list)
		s.fail(w, r, http.StatusMethodNotAllowed, "method: expected one of "+list+".")
	})
}

func (s *Server) serveNotFound(w http.ResponseWriter, r *http.Request) {
	s.fail(w, r, http.StatusNotFound, "There is no such page.")
}

// failAPI answers with an error.
func failAPI(w http.ResponseWriter, code int, message string) {
	if code == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", "Bearer")
	}
	writeJSON(w, code, apiError{Error: status.OneLine(message, maxMessage)})
}

// writeJSON writes printable JSON.
func writeJSON(w http.ResponseWriter, code int, content any) {
	body, err := json.Marshal(content)
	if err != nil {
		http.Error(w, "cannot encode the response", http.StatusInternalServerError)
		return
	}
	body = append(status.EscapeJSON(body), '\n')
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(code)
	_, _ = w.Write(body) // it fails if the client has gone away
}

// writeLine writes printable JSON on one line. It reports whether the client is still there.
func writeLine(w http.ResponseWriter, content any) bool {
	body, err := json.Marshal(content)
	if err != nil {
		return false
	}
	_, err = w.Write(append(status.EscapeJSON(body), '\n'))
	return err == nil
}

// redirect sends a browser to a relative URL. http.Redirect would make it absolute, and a proxy may have stripped a
// part of the path.
func redirect(w http.ResponseWriter, relative string) {
	w.Header().Set("Location", relative)
	w.WriteHeader(http.StatusSeeOther)
}

// codeWriter remembers the code of a response.
type codeWriter struct {
	http.ResponseWriter

	code int
}

// WriteHeader implements http.ResponseWriter.
func (c *codeWriter) WriteHeader(code int) {
	c.code = code
	c.ResponseWriter.WriteHeader(code)
}

// Unwrap is for http.ResponseController.
func (c *codeWriter) Unwrap() http.ResponseWriter { return c.ResponseWriter }
