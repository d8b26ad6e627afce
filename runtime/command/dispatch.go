package command

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"rosey.dev/rosey/runtime/cytube"
	"rosey.dev/rosey/runtime/room"
)

// unknownName stands for the name of an unknown PM command in metrics and in the audit: the text may have been meant
// for somebody else.
const unknownName = "unknown"

var (
	errUnknown = errors.New("there is no such command; send help for a list")
	// errUsage is returned by a command's method for arguments that do not match the command's usage.
	errUsage = errors.New("wrong arguments")
)

// deniedError is the error for a rank that is too low: the user's or the bot's.
type deniedError struct{ why string }

func (e *deniedError) Error() string { return e.why }

// Handle takes an event of the channel after it has been applied to the Room: a command, or the effect of one. It does
// not block.
func (h *Handler) Handle(event cytube.Event) {
	switch event := event.(type) {
	case cytube.ChatMessage:
		h.handleChat(event)
	case cytube.PM:
		if h.Room.Self != "" && !h.Room.IsMe(event.From) {
			text, exact := cytube.TypedText(event.HTML)
			h.dispatch(request{source: fromPM, exact: exact}, event.From, text)
		}
	default:
		if confirm := h.confirm.Load(); confirm != nil {
			(*confirm)(event)
		}
	}
}

// handleChat looks for a command in a line of chat. The lines that the server repeats on join are none: the bot cannot
// chat yet when they come. Neither are the bot's own, and those that are shown in a special way, such as /me.
func (h *Handler) handleChat(line cytube.ChatMessage) {
	// A line that begins with ">" is green, and the prefix can be ">".
	isPlain := line.Kind == "" || line.Kind == greenText
	if !isPlain || line.Shadow || h.Room.IsMe(line.User) || !h.Room.MayChat() {
		return
	}
	typed, exact := cytube.TypedText(line.HTML)
	if text, isCommand := strings.CutPrefix(typed, h.Config.Prefix); isCommand {
		h.dispatch(request{source: fromChat, exact: exact}, line.User, text)
	}
}

// greenText is the class of lines that begin with ">".
const greenText = "greentext"

// dispatch finds the command of a text and queues it. r has neither user nor arguments yet.
func (h *Handler) dispatch(r request, userName, text string) {
	from := r.source
	user, present := h.Room.Users.Find(userName)
	available := h.available(from, user.Rank)
	name, args := cutWord(text)
	name = strings.ToLower(name)
	if !h.enabled[from] || !h.Leading() || !present || name == "" || len(available) == 0 {
		return
	}
	found := slices.IndexFunc(available, func(c command) bool { return c.name == name })
	switch {
	case found < 0 && from == fromPM:
		h.queue(job{source: from, user: user.Name, name: unknownName, task: fail(errUnknown)})
		return
	case found < 0:
		return
	case from == fromChat && !h.cooldownOver(user.Name, time.Now()):
		h.Count(string(from), name, "cooldown")
		return
	}
	c := available[found]
	r.user, r.args = user, args
	h.queue(job{source: from, user: user.Name, name: name, args: c.auditedArgs(args), task: h.prepare(c, r)})
}

// available returns the commands that a user of a rank may give.
func (h *Handler) available(from source, rank float64) []command {
	var available []command
	for _, c := range h.commands {
		if c.source == from && rank >= c.rank {
			available = append(available, c)
		}
	}
	return available
}

// cooldownOver reports whether a user may give a chat command, and starts the cooldown if so.
func (h *Handler) cooldownOver(name string, now time.Time) bool {
	key := strings.ToLower(name)
	if last, found := h.lastChat[key]; found && now.Sub(last) < h.cooldown {
		return false
	}
	maps.DeleteFunc(h.lastChat, func(_ string, last time.Time) bool { return now.Sub(last) >= h.cooldown })
	h.lastChat[key] = now
	return true
}

// prepare checks the permission for a command and returns its task.
func (h *Handler) prepare(c command, r request) task {
	if err := h.checkPermission(c.permission, r.user.Rank); err != nil {
		return fail(err)
	}
	prepared, err := c.run(h, r)
	switch {
	case errors.Is(err, errUsage):
		return fail(errors.New("usage: " + h.synopsis(c)))
	case err != nil:
		return fail(err)
	}
	return prepared
}

// checkPermission returns an error unless a rank and the bot's own suffice for a permission.
func (h *Handler) checkPermission(permission room.Permission, rank float64) error {
	switch {
	case permission == "":
		return nil
	case !h.Room.Allows(permission, rank):
		return &deniedError{fmt.Sprintf("your rank in the channel does not allow it (%s)", permission)}
	case !h.Room.Allows(permission, h.Room.Rank):
		return &deniedError{fmt.Sprintf("the bot's rank in the channel does not allow it (%s)", permission)}
	}
	return nil
}

// synopsis returns a command as a user types it.
func (h *Handler) synopsis(c command) string {
	text := strings.TrimSpace(c.name + " " + c.usage)
	if c.source == fromChat {
		return h.Config.Prefix + text
	}
	return text
}

// auditedArgs returns the part of the arguments that is published.
func (c command) auditedArgs(args string) string {
	first, rest := cutWord(args)
	if c.private && rest != "" {
		return fmt.Sprintf("%s (%d characters)", first, len([]rune(rest)))
	}
	return args
}

// cutWord returns the first word of a text and what follows it.
func cutWord(text string) (word, rest string) {
	word, rest, _ = strings.Cut(strings.TrimSpace(text), " ")
	return word, strings.TrimSpace(rest)
}

// reply returns a task with nothing left to do.
func reply(lines ...string) task {
	return func(context.Context) ([]string, error) { return lines, nil }
}

// fail returns the task of a command that was rejected.
func fail(err error) task {
	return func(context.Context) ([]string, error) { return nil, err }
}
