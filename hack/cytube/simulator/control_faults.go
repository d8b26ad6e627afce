package simulator

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"
)

// routeFaults adds the faults to the simulator's API.
func (s *Server) routeFaults(mux *http.ServeMux, channel string) {
	for name, do := range map[string]func(*Channel, string, string) error{
		"kick": (*Channel).Kick, "ban": (*Channel).Ban,
		"unban":      func(c *Channel, user, _ string) error { return c.Unban(user) },
		"mute":       func(c *Channel, user, _ string) error { return c.Mute(user) },
		"unmute":     func(c *Channel, user, _ string) error { return c.Unmute(user) },
		"disconnect": func(c *Channel, user, _ string) error { return c.Disconnect(user) },
		"drop":       func(c *Channel, user, _ string) error { return c.Drop(user) },
	} {
		mux.Handle("POST "+channel+name, s.control(againstPerson(do)))
	}
	mux.Handle("POST "+channel+"do", s.control(serveDo))
	mux.Handle("POST "+channel+"inject", s.control(serveInject))
	for name, do := range map[string]func(*http.Request) error{
		"partition": s.servePartition, "heal": s.serveHeal, "slow": s.serveSlow, "restart": s.serveRestart,
		"refuse-logins": s.serveRefuseLogins,
	} {
		mux.HandleFunc("POST /simulator/"+name, func(w http.ResponseWriter, r *http.Request) {
			r.Body = http.MaxBytesReader(w, r.Body, maxBody)
			if err := do(r); err != nil {
				writeError(w, statusOf(err), err)
				return
			}
			writeJSON(w, http.StatusOK, struct{}{})
		})
	}
	mux.HandleFunc("GET /simulator/log", func(w http.ResponseWriter, r *http.Request) {
		value, err := answerLog(r, s.logAfter)
		if err != nil {
			writeError(w, statusOf(err), err)
			return
		}
		writeJSON(w, http.StatusOK, value)
	})
}

func againstPerson(do func(c *Channel, user, reason string) error) func(*http.Request, *Channel) (any, error) {
	return func(r *http.Request, c *Channel) (any, error) {
		var request struct {
			User   string `json:"user"`
			Reason string `json:"reason"`
		}
		if err := readJSON(r, &request); err != nil {
			return nil, err
		}
		return struct{}{}, do(c, request.User, request.Reason)
	}
}

func serveDo(r *http.Request, c *Channel) (any, error) {
	var request struct {
		User  string          `json:"user"`
		Event string          `json:"event"`
		Data  json.RawMessage `json:"data"`
	}
	if err := readJSON(r, &request); err != nil {
		return nil, err
	}
	entries, err := c.Do(request.User, request.Event, request.Data)
	return map[string][]Entry{"entries": entries}, err
}

func serveInject(r *http.Request, c *Channel) (any, error) {
	var request struct {
		User   string `json:"user"`
		Frame  string `json:"frame"`
		Binary string `json:"binary"`
		Bytes  int    `json:"bytes"`
	}
	if err := readJSON(r, &request); err != nil {
		return nil, err
	}
	switch {
	case request.Binary != "":
		frame, err := base64.StdEncoding.DecodeString(request.Binary)
		if err != nil {
			return nil, fmt.Errorf("binary: expected base64: %w", err)
		}
		return struct{}{}, c.InjectBinary(request.User, frame)
	case request.Bytes > 0:
		return struct{}{}, c.Inject(request.User, OversizeFrame(request.Bytes))
	case request.Frame != "":
		return struct{}{}, c.Inject(request.User, request.Frame)
	default:
		return nil, errors.New("expected frame, binary or bytes")
	}
}

func (s *Server) servePartition(r *http.Request) error {
	var target Target
	if err := readJSON(r, &target); err != nil {
		return err
	}
	s.Partition(target)
	return nil
}

func (s *Server) serveHeal(*http.Request) error {
	s.Heal()
	return nil
}

func (s *Server) serveSlow(r *http.Request) error {
	var request struct {
		Target
		DelayMS int `json:"delay_ms"`
	}
	if err := readJSON(r, &request); err != nil {
		return err
	}
	delay, err := milliseconds("delay_ms", request.DelayMS)
	if err != nil {
		return err
	}
	s.Slow(request.Target, delay)
	return nil
}

func (s *Server) serveRestart(r *http.Request) error {
	var request struct {
		DownMS int  `json:"down_ms"`
		Crash  bool `json:"crash"`
	}
	if err := readJSON(r, &request); err != nil {
		return err
	}
	down, err := milliseconds("down_ms", request.DownMS)
	if err != nil {
		return err
	}
	s.restart(down, request.Crash)
	return nil
}

func (s *Server) serveRefuseLogins(r *http.Request) error {
	var request struct {
		ForMS  int    `json:"for_ms"`
		Reason string `json:"reason"`
	}
	if err := readJSON(r, &request); err != nil {
		return err
	}
	d, err := milliseconds("for_ms", request.ForMS)
	if err != nil {
		return err
	}
	s.RefuseLogins(d, request.Reason)
	return nil
}

func milliseconds(key string, n int) (time.Duration, error) {
	if n < 0 {
		return 0, fmt.Errorf("%s: expected 0 or more, got %d", key, n)
	}
	return time.Duration(n) * time.Millisecond, nil
}
