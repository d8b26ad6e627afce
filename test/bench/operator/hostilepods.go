package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"rosey.dev/rosey/runtime/status"
)

// podAnswer responds to a request. Those to a pod are numbered.
type podAnswer func(w http.ResponseWriter, r *http.Request, number int64)

// podProcess is a server that answers for the process in a pod, on a loopback address of its own.
type podProcess struct {
	ip      string
	asked   atomic.Int64
	server  *http.Server
	serving sync.WaitGroup
}

// podNetwork is the second byte of the addresses of pods: two benchmarks may run at the same time.
var podNetwork = 66 + os.Getpid()%128

// startPodProcess starts a server. number makes its address unique.
func startPodProcess(ctx context.Context, number int, answer podAnswer) (*podProcess, error) {
	p := &podProcess{ip: fmt.Sprintf("127.%d.%d.%d", podNetwork, number/250, number%250+1)}
	address := net.JoinHostPort(p.ip, strconv.Itoa(status.HTTPPort))
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("answering for a pod: %w", err)
	}
	p.server = &http.Server{
		ReadHeaderTimeout: time.Minute,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			answer(w, r, p.asked.Add(1))
		}),
	}
	p.serving.Go(func() { _ = p.server.Serve(listener) }) // ends with close
	return p, nil
}

func (p *podProcess) close() error {
	err := p.server.Close()
	p.serving.Wait()
	if err != nil {
		return fmt.Errorf("stopping the server of a pod: %w", err)
	}
	return nil
}

// hostileAnswers are what the pods of hostile RoseyBots answer, in turn.
var hostileAnswers = []struct {
	name   string
	answer podAnswer
	flaps  bool // the pods' readiness changes too
}{
	{"hang", func(_ http.ResponseWriter, r *http.Request, _ int64) { <-r.Context().Done() }, false},
	{"lie", lie, true},
	{"flood", flood, false},
}

// lie answers another report each time: known and unknown reasons, another leader, other texts.
func lie(w http.ResponseWriter, _ *http.Request, number int64) {
	reasons := []status.Reason{
		status.ReasonKicked, status.ReasonBanned, status.ReasonNATSUnreachable, status.ReasonStoreFull,
		status.Reason(fmt.Sprint("Forged", number)), status.ReasonStarting,
	}
	reason := reasons[number%int64(len(reasons))]
	_ = json.NewEncoder(w).Encode(status.Report{ // the client may be gone
		Component: status.BotComponent, Reason: reason, Message: fmt.Sprint("answer ", number), Version: fmt.Sprint(number),
		Leader: fmt.Sprint("hostile-", number), Started: time.Unix(number, 0),
		Checks: []status.Check{{Name: status.ChannelCheck, Reason: reason, Message: fmt.Sprint("check ", number)}},
	})
}

// flood answers more than a report can be, in another way each time: an endless body, an endless header, a small body
// that becomes a huge one, a valid report of the greatest size, and one that comes byte by byte.
func flood(w http.ResponseWriter, r *http.Request, number int64) {
	huge := fmt.Sprintf(`{"component":"bot","reason":"Kicked","message":"%d %s"}`, number, strings.Repeat("x", 60<<10))
	var err error
	switch number % 5 {
	case 0:
		for err == nil {
			_, err = io.WriteString(w, strings.Repeat(" ", 32<<10))
		}
	case 1:
		endlessHeader(w)
	case 2:
		w.Header().Set("Content-Encoding", "gzip")
		var body bytes.Buffer
		packed := gzip.NewWriter(&body)
		_, err = packed.Write(bytes.Repeat([]byte(" "), 16<<20))
		if errors.Join(err, packed.Close()) == nil {
			_, _ = w.Write(body.Bytes())
		}
	case 3:
		_, _ = io.WriteString(w, huge)
	case 4:
		for _, one := range []byte(huge) {
			if r.Context().Err() != nil || errors.Join(err, http.NewResponseController(w).Flush()) != nil {
				return
			}
			_, err = w.Write([]byte{one})
			time.Sleep(10 * time.Millisecond)
		}
	}
}

func endlessHeader(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer func() { _ = conn.Close() }()
	_, err = io.WriteString(conn, "HTTP/1.1 200 OK\r\n")
	for header := "X: " + strings.Repeat("x", 1000) + "\r\n"; err == nil; {
		_, err = io.WriteString(conn, header)
	}
}

// kicked answers as a bot does that a moderator kicked.
func kicked(w http.ResponseWriter, _ *http.Request, _ int64) {
	_ = json.NewEncoder(w).Encode(status.Report{
		Component: status.BotComponent, Reason: status.ReasonKicked, Message: "a moderator kicked the bot",
		Checks: []status.Check{{Name: status.ChannelCheck, Reason: status.ReasonKicked, Message: "kicked"}},
	})
}
