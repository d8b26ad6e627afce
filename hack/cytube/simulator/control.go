package simulator

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"
)

// maxBody is the maximum request body of the simulator's API, in bytes.
const maxBody = 64 << 10

func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok\n")) })
	mux.HandleFunc("GET /socketconfig/{file}", s.serveSocketConfig)
	mux.HandleFunc("GET /socket.io/", s.serveSocket)
	const channel = "/simulator/channels/{channel}/"
	mux.Handle("GET "+channel+"log", s.control(serveLog))
	mux.Handle("GET "+channel+"users", s.control(serveUsers))
	mux.Handle("POST "+channel+"join", s.control(serveJoin))
	mux.Handle("POST "+channel+"say", s.control(serveSay))
	mux.Handle("POST "+channel+"leave", s.control(serveLeave))
	mux.Handle("POST "+channel+"script", s.control(serveStartScript))
	mux.Handle("GET "+channel+"script", s.control(serveScript))
	s.routeFaults(mux, channel)
	return mux
}

// control returns a handler that calls a function for the channel in the path, and writes its result or error as JSON.
func (s *Server) control(answer func(*http.Request, *Channel) (any, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		s.mu.Lock()
		channel, err := s.channel(r.PathValue("channel"))
		s.mu.Unlock()
		if err != nil {
			writeError(w, statusOf(err), err)
			return
		}
		value, err := answer(r, channel)
		if err != nil {
			writeError(w, statusOf(err), err)
			return
		}
		writeJSON(w, http.StatusOK, value)
	})
}

func serveLog(r *http.Request, c *Channel) (any, error) {
	return answerLog(r, c.logAfter)
}

// answerLog returns the entries of a log that match the query.
func answerLog(r *http.Request, logAfter func(uint64) []Entry) (any, error) {
	var after uint64
	if raw := r.URL.Query().Get("after"); raw != "" {
		var err error
		if after, err = strconv.ParseUint(raw, 10, 64); err != nil {
			return nil, fmt.Errorf("query after=%q: expected a sequence number", raw)
		}
	}
	entries := logAfter(after)
	if kind := Kind(r.URL.Query().Get("kind")); kind != "" {
		entries = slices.DeleteFunc(entries, func(e Entry) bool { return e.Kind != kind })
	}
	return map[string][]Entry{"entries": entries}, nil
}

func serveUsers(_ *http.Request, c *Channel) (any, error) {
	users, connections := c.present()
	return struct {
		Users       []User `json:"users"`
		Connections int    `json:"connections"`
	}{users, connections}, nil
}

type personRequest struct {
	User string `json:"user"`
}

func serveJoin(r *http.Request, c *Channel) (any, error) {
	var request personRequest
	if err := readJSON(r, &request); err != nil {
		return nil, err
	}
	return struct{}{}, c.Join(request.User)
}

func serveSay(r *http.Request, c *Channel) (any, error) {
	var request struct {
		User string `json:"user"`
		Text string `json:"text"`
	}
	if err := readJSON(r, &request); err != nil {
		return nil, err
	}
	return c.Say(request.User, request.Text)
}

func serveLeave(r *http.Request, c *Channel) (any, error) {
	var request personRequest
	if err := readJSON(r, &request); err != nil {
		return nil, err
	}
	return struct{}{}, c.Leave(request.User)
}

func serveStartScript(r *http.Request, c *Channel) (any, error) {
	var request struct {
		Seconds float64 `json:"seconds"`
		Seed    uint64  `json:"seed"`
		PaceMS  int     `json:"pace_ms"`
	}
	if err := readJSON(r, &request); err != nil {
		return nil, err
	}
	if request.Seconds <= 0 {
		return nil, fmt.Errorf("seconds: expected more than 0, got %v", request.Seconds)
	}
	err := c.StartScript(ScriptOptions{
		Duration: time.Duration(request.Seconds * float64(time.Second)),
		Seed:     request.Seed,
		Pace:     time.Duration(request.PaceMS) * time.Millisecond,
	})
	return c.Script(), err
}

func serveScript(_ *http.Request, c *Channel) (any, error) { return c.Script(), nil }

func statusOf(err error) int {
	switch {
	case errors.Is(err, ErrNotInside), errors.Is(err, ErrNotInChannel):
		return http.StatusNotFound
	case errors.Is(err, ErrNameInUse), errors.Is(err, ErrScriptRunning):
		return http.StatusConflict
	default:
		return http.StatusBadRequest
	}
}

func readJSON(r *http.Request, into any) error {
	decoder := json.NewDecoder(r.Body)
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		return fmt.Errorf("request body: expected a JSON object: %w", err)
	}
	return nil
}

func writeError(w http.ResponseWriter, status int, err error) {
	writeJSON(w, status, map[string]string{"error": err.Error()})
}

func writeJSON(w http.ResponseWriter, status int, value any) {
	body, err := marshal(value)
	if err != nil {
		http.Error(w, `{"error":"internal error"}`, http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(body + "\n"))
}
