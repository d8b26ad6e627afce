package pluginclient

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"rosey.dev/rosey/runtime/bus"
)

// audited is something that a plugin caused.
type audited struct {
	// what is the command that was called, or what the plugin requested.
	plugin, what string
	// call and asker are empty if the plugin did it by itself.
	call, asker string
	// detail is the arguments, the lines, or what was done. problem is empty if it was done.
	detail, problem string
	// said are the lines of the answer to a call.
	said string
}

// audit logs and publishes something that a plugin caused.
func (c *Client) audit(ctx context.Context, a audited) {
	result := "success"
	payload := bus.PMCommandPayload{
		Username: cmp.Or(a.asker, asPlugin(a.plugin)), Command: a.plugin + "." + a.what, Args: a.detail,
		Plugin: a.plugin, Call: a.call, Said: a.said, Origin: c.Origin,
	}
	if a.problem != "" {
		result = "error"
		payload.Error = &a.problem
	}
	now := time.Now()
	payload.Result, payload.Timestamp = result, bus.Seconds{Time: now}
	c.Log.InfoContext(ctx, "plugin", "plugin", a.plugin, "did", a.what, "call", a.call, "asker", a.asker, "result", result)
	c.Publisher.Publish(ctx, bus.ActionPMCommand, c.EventID(now), payload)
}

// asPlugin names a plugin where the name of a user is expected. No user can have a name with a space.
func asPlugin(name string) string { return "plugin " + name }

// auditedLines returns lines for the audit. Of a private message, which is nobody else's business, that is who got it
// and its length.
func auditedLines(to string, lines []string) string {
	text := strings.Join(lines, " / ")
	if to != "" && text != "" {
		return fmt.Sprintf("to %s (%d characters)", to, utf8.RuneCountInString(text))
	}
	return text
}

// auditedProblem returns why a call failed, for the audit, the log and the status. What the plugin itself says about
// arguments that the audit does not have can repeat them.
func auditedProblem(one *call, failure *callError) string {
	isPrivate := one.Command.Private || one.Via == bus.ViaPM
	switch {
	case isPrivate && failure.outcome == callUsage:
		return "wrong arguments"
	case isPrivate && failure.outcome == callFailed:
		return "the plugin answered with an error"
	}
	return failure.Error()
}
