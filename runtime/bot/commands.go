package bot

import (
	"context"
	"errors"
	"strings"
	"time"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/config"
	"rosey.dev/rosey/runtime/cytube"
	"rosey.dev/rosey/runtime/speech"
)

// Where a command came from: the values of the label source.
const (
	fromPM   = "pm"
	fromChat = "chat"
)

// What became of a command: the values of the label outcome.
const (
	commandOK      = "success"
	commandError   = "error"
	commandDenied  = "denied"
	commandBusy    = "busy"
	commandTooSoon = "cooldown"
)

var (
	errLeft = errors.New("the bot left the channel before it was done")
	errBusy = errors.New("too many commands at once, try again in a while")
)

// deniedError says that somebody's rank, or the bot's, is too low.
type deniedError struct{ why string }

func (e *deniedError) Error() string { return e.why }

// work is the part of a command that waits for others. It runs on the goroutine of workOff and returns
// the lines of the reply.
type work func(ctx context.Context) ([]string, error)

// job is a command on its way.
type job struct {
	source string
	user   string
	name   string
	// args are as they are audited.
	args string
	work work
}

// maxJobs is how many commands wait while one is dealt with.
const maxJobs = 32

// commands are those that users give the bot. What changes belongs to the session's goroutine.
type commands struct {
	chat, pm bool
	prefix   string
	cooldown time.Duration
	// lastChat is when somebody last gave a command in the chat, by lower-case name.
	lastChat  map[string]time.Time
	forPM     map[string]pmCommand
	forChat   map[string]chatCommand
	waitingIn chan job
}

func newCommands(c config.Commands) *commands {
	cooldown := 5 * time.Second
	if c.CooldownSeconds != nil {
		cooldown = time.Duration(*c.CooldownSeconds) * time.Second
	}
	prefix := c.Prefix
	if prefix == "" {
		prefix = config.DefaultCommandPrefix
	}
	return &commands{
		chat: c.Chat == nil || *c.Chat, pm: c.PM == nil || *c.PM, prefix: prefix, cooldown: cooldown,
		lastChat: map[string]time.Time{}, forPM: pmCommands(), forChat: chatCommands(),
		waitingIn: make(chan job, maxJobs),
	}
}

// begin hands a job to workOff.
func (s *session) begin(j job) {
	select {
	case s.commands.waitingIn <- j:
	default:
		s.finish(j, errBusy)
	}
}

// workOff deals with commands one after the other until ctx ends.
func (s *session) workOff(ctx context.Context) {
	for {
		select {
		case j := <-s.commands.waitingIn:
			s.perform(ctx, j)
		case <-ctx.Done():
			return
		}
	}
}

// dropJobs ends what nobody will work on any more.
func (s *session) dropJobs() {
	for len(s.commands.waitingIn) > 0 {
		s.finish(<-s.commands.waitingIn, errLeft)
	}
}

func (s *session) perform(ctx context.Context, j job) {
	if !s.leads() {
		s.finish(j, speech.ErrNotLeading)
		return
	}
	lines, err := j.work(ctx)
	s.finish(j, err)
	if err != nil && (j.source == fromPM || lines == nil) {
		lines = append(lines, j.name+": "+err.Error())
	}
	s.reply(ctx, j, lines)
}

// reply says each line as one of its own: what is within one is shown as one.
func (s *session) reply(ctx context.Context, j job, lines []string) {
	to := j.user
	if j.source == fromChat {
		to = ""
	}
	for _, line := range lines {
		for _, part := range cytube.SplitLine(line, cytube.MaxLine) {
			if got := s.speaker.Say(ctx, speech.Message{To: to, Text: part}); got.Outcome != speech.Said {
				s.log.Debug("a reply was not said", "command", j.name, "result", got)
				return
			}
		}
	}
}

// finish counts a command and, if it came by private message, tells the service what became of it.
func (s *session) finish(j job, err error) {
	outcome, result := commandOK, commandOK
	if err != nil {
		outcome, result = commandError, commandError
	}
	if _, denied := errors.AsType[*deniedError](err); denied {
		outcome = commandDenied
	}
	if errors.Is(err, errBusy) {
		outcome = commandBusy
	}
	s.metrics.commands.WithLabelValues(j.source, j.name, outcome).Inc()
	if j.source != fromPM {
		return
	}
	s.log.Info("command by private message", "user", j.user, "command", j.name, "outcome", outcome)
	now := time.Now()
	payload := bus.PMCommandPayload{
		Username: j.user, Command: j.name, Args: j.args, Result: result, Origin: s.origin(now),
	}
	if err != nil {
		payload.Error = new(err.Error())
	}
	s.publisher.Publish(bus.ActionPMCommand, s.ids.Next(now), payload)
}

// cut takes the first word off.
func cut(text string) (word, rest string) {
	word, rest, _ = strings.Cut(strings.TrimSpace(text), " ")
	return word, strings.TrimSpace(rest)
}

// now makes work that has nothing to wait for.
func now(lines ...string) work {
	return func(context.Context) ([]string, error) { return lines, nil }
}
