package pluginclient

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/command"
)

// Ping returns how many processes of a plugin answer a ping within two seconds, which a bot sends them again and again.
func Ping(ctx context.Context, conn *bus.Conn, subjects bus.PluginSubjects) (processes int) {
	for _, reply := range gather(ctx, conn, subjects, micro.PingVerb, defaultTimings()) {
		var ping micro.Ping
		if json.Unmarshal(reply.Data, &ping) == nil && ping.ID != "" {
			processes++
		}
	}
	return processes
}

// Errors of Try.
var (
	// ErrUsage is that the plugin says that the arguments are wrong. The text is what users would read.
	ErrUsage = errors.New("wrong arguments")
	// ErrMayNotCall is that the NATS user may not call plugins.
	ErrMayNotCall = errors.New("the NATS user may not call plugins, which only a bot's user may")
)

// Try calls a plugin as a bot does, and returns the answer, or why a bot would not say it. Nothing is said.
func Try(ctx context.Context, conn *bus.Conn, subjects bus.PluginSubjects, k command.Call) (bus.PluginReply, error) {
	p, limit := &plugin{subjects: subjects}, timeout(k.Command)
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	m, err := p.message(&call{Call: k, id: rand.Text()}, limit)
	if err != nil {
		return bus.PluginReply{}, err
	}
	reply, err := conn.NATS().RequestMsgWithContext(ctx, m)
	switch {
	case conn.Denied(m.Subject):
		return bus.PluginReply{}, ErrMayNotCall
	case errors.Is(err, nats.ErrNoResponders):
		return bus.PluginReply{}, errors.New("nobody has subscribed to its calls")
	case err != nil:
		return bus.PluginReply{}, fmt.Errorf("no answer within %s", limit)
	}
	answer, failure := p.readReply(reply)
	switch {
	case failure == nil:
		return *answer, nil
	case failure.outcome == callUsage:
		return bus.PluginReply{}, fmt.Errorf("%w: %s", ErrUsage, failure.told)
	}
	return bus.PluginReply{}, failure
}
