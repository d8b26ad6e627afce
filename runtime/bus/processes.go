package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"

	"rosey.dev/rosey/runtime/status"
)

// StatusGet is the subject of a request to which every process replies that is connected to NATS under the prefix, so
// there may be any number of replies, or none. Requester.Processes sends it. The body is ignored.
const StatusGet Suffix = "status.get"

const (
	// MaxProcessBytes bounds a ProcessStatus as JSON.
	MaxProcessBytes = 64 << 10
	// MaxProcesses bounds how many replies Requester.Processes reads.
	MaxProcesses = 256
	// ProcessesTimeout is how long Requester.Processes waits for the first reply, and processesPause for another one
	// after a reply: a process replies at once.
	ProcessesTimeout = time.Second
	processesPause   = 150 * time.Millisecond
)

// ProcessStatus is the reply to StatusGet.
type ProcessStatus struct {
	// Success is always true. A reply without it is not from a process of Rosey.
	Success bool `json:"success"`
	// Instance is the name of the pod, or of the host outside a cluster.
	Instance string `json:"instance"`
	// Server and Channel are those of its configuration. A database service may serve others too: Report.Channels.
	Server  string `json:"server,omitempty"`
	Channel string `json:"channel,omitempty"`
	// Report is the body of status.StatusPath.
	Report status.Report `json:"report"`
}

// Processes returns the status of every process that replies to StatusGet, in the order of their replies. Replies that
// are not of a process of Rosey are left out: whoever is connected may reply. It returns ErrNoService if there is none.
func (r *Requester) Processes(ctx context.Context) (processes []ProcessStatus, err error) {
	subject := r.subjects.Subject(StatusGet)
	if !r.conn.Connected() {
		return nil, fmt.Errorf("requesting %s: %w", subject, ErrNotConnected)
	}
	connection := r.conn.NATS()
	inbox := connection.NewInbox()
	replies, err := connection.SubscribeSync(inbox)
	if err == nil {
		defer func() { _ = replies.Unsubscribe() }() // it fails only if the connection is closed
		err = errors.Join(replies.SetPendingLimits(MaxProcesses, MaxProcesses*MaxProcessBytes),
			connection.PublishRequest(subject, inbox, nil))
	}
	if err != nil {
		return nil, fmt.Errorf("requesting %s: %w", subject, err)
	}
	wait := ProcessesTimeout
	for range MaxProcesses {
		data, ok := nextReply(ctx, replies, wait)
		if !ok {
			break
		}
		if process, ok := parseProcess(data); ok {
			processes, wait = append(processes, process), processesPause
		}
	}
	if ctx.Err() != nil {
		return nil, fmt.Errorf("requesting %s: %w", subject, context.Cause(ctx))
	}
	if len(processes) == 0 {
		return nil, fmt.Errorf("requesting %s: %w", subject, ErrNoService)
	}
	return processes, nil
}

// nextReply returns the next reply, if one comes in time. Without a responder the server replies at once, without data.
func nextReply(ctx context.Context, replies *nats.Subscription, wait time.Duration) (data []byte, ok bool) {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	reply, err := replies.NextMsgWithContext(ctx)
	if err != nil || len(reply.Data) == 0 {
		return nil, false
	}
	return reply.Data, true
}

// parseProcess returns the content of a reply, made printable, and whether it is one of a process of Rosey.
func parseProcess(data []byte) (process ProcessStatus, ok bool) {
	var reply struct {
		ProcessStatus
		Report json.RawMessage `json:"report"`
	}
	if len(data) > MaxProcessBytes || json.Unmarshal(data, &reply) != nil || !reply.Success {
		return process, false
	}
	report, err := status.ParseReport(reply.Report, "")
	if err != nil {
		return process, false
	}
	process = reply.ProcessStatus
	process.Report = report
	for _, text := range []*string{&process.Instance, &process.Server, &process.Channel} {
		*text = status.OneLine(*text, maxProcessText)
	}
	return process, true
}

// maxProcessText bounds the texts of a ProcessStatus, in characters.
const maxProcessText = 400
