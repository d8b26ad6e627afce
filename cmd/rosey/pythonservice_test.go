package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/nats-io/nats.go"
)

// pythonService behaves on the bus as the Python Rosey's service does: a plain subscription for each of its nine
// subjects and no queue group, no ids, replies that are arrays, no acknowledgement of what was published, and
// nothing at all on the subjects that it does not know.
type pythonService struct {
	t    *testing.T
	conn *nats.Conn

	mu       sync.Mutex
	handled  map[string][]map[string]any
	outbound []*pythonLine
	asked    int // for lines to say
}

// pythonLine is a row of its table of lines to say.
type pythonLine struct {
	ID         int    `json:"id"`
	Timestamp  int    `json:"timestamp"`
	Message    string `json:"message"`
	RetryCount int    `json:"retry_count"` // nothing ever raises it
	LastError  any    `json:"last_error"`
	sent       int
}

func startPythonService(t *testing.T, conn *nats.Conn, lines ...string) *pythonService {
	t.Helper()
	s := &pythonService{t: t, conn: conn, handled: map[string][]map[string]any{}}
	for i, text := range lines {
		s.outbound = append(s.outbound, &pythonLine{ID: i + 1, Timestamp: 1763700000, Message: text})
	}
	for _, subject := range []string{
		"user.joined", "user.left", "message.log", "stats.user_count", "stats.high_water", "status.update",
		"messages.outbound.mark_sent",
	} {
		s.subscribe(subject, func(m *nats.Msg) { s.take(subject, m.Data) })
	}
	s.subscribe("messages.outbound.get", func(m *nats.Msg) { s.reply(m, s.waiting(m.Data)) })
	s.subscribe("stats.recent_chat.get", func(m *nats.Msg) { s.reply(m, []any{}) })
	if err := conn.Flush(); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *pythonService) subscribe(subject string, handle nats.MsgHandler) {
	s.t.Helper()
	if _, err := s.conn.Subscribe("rosey.db."+subject, handle); err != nil {
		s.t.Fatal(err)
	}
}

// reply does without the error that a request without a reply subject gives there.
func (s *pythonService) reply(m *nats.Msg, body any) {
	data, err := json.Marshal(body)
	if err == nil {
		err = m.Respond(data)
	}
	if err != nil {
		s.t.Error(err)
	}
}

// take is what it does with all that is published. A field that it does not know it does not look at.
func (s *pythonService) take(subject string, data []byte) {
	var body map[string]any
	if err := json.Unmarshal(data, &body); err != nil {
		s.t.Errorf("%s: %s: %v", subject, data, err)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.handled[subject] = append(s.handled[subject], body)
	for _, line := range s.outbound {
		if subject == "messages.outbound.mark_sent" && float64(line.ID) == body["message_id"] {
			line.sent++
		}
	}
}

// waiting is its selection: whoever asks gets all that are not sent, again and again.
func (s *pythonService) waiting(data []byte) []pythonLine {
	request := struct {
		Limit      int `json:"limit"`
		MaxRetries int `json:"max_retries"`
	}{50, 3}
	if err := json.Unmarshal(data, &request); err != nil {
		s.t.Errorf("%s: %v", data, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	lines := []pythonLine{}
	for _, line := range s.outbound {
		if line.sent == 0 && line.RetryCount < request.MaxRetries && len(lines) < request.Limit {
			lines = append(lines, *line)
		}
	}
	if request.Limit > 0 {
		s.asked++
	}
	return lines
}

// polls is how often somebody asked for lines to say.
func (s *pythonService) polls() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked
}

// all are the bodies that it has handled on a subject.
func (s *pythonService) all(subject string) []map[string]any {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]map[string]any(nil), s.handled[subject]...)
}

// said are the lines of somebody, in their order and as often as they came.
func (s *pythonService) said(name string) (texts []string) {
	for _, body := range s.all("message.log") {
		if body["username"] == name {
			texts = append(texts, fmt.Sprint(body["message"]))
		}
	}
	return texts
}

// sentTimes is how often each line was marked as sent.
func (s *pythonService) sentTimes() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var times []string
	for _, line := range s.outbound {
		times = append(times, fmt.Sprintf("%d: %t", line.ID, line.sent > 0))
	}
	return strings.Join(times, ", ")
}
