package command

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"rosey.dev/rosey/runtime/bus"
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
	h.poll.Store(h.Room.Poll)
	switch event := event.(type) {
	case cytube.ChatMessage:
		h.handleChat(event)
	case cytube.PM:
		h.handlePM(event)
	default:
		if !h.confirmations.offer(event) {
			h.handleLate(event)
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
	n := h.Registry.names.Load()
	if n == nil {
		return
	}
	typed, exact := cytube.TypedText(line.HTML)
	if text, isCommand := strings.CutPrefix(typed, n.settings.Prefix); isCommand {
		h.dispatch(request{source: fromChat, exact: exact}, line.User, text)
	}
}

// handlePM looks for a command in a private message. The commands of the bot need no prefix there. Those of plugins do:
// a plugin may call its commands as it likes, and would otherwise get the messages that begin with such a word.
func (h *Handler) handlePM(message cytube.PM) {
	n := h.Registry.names.Load()
	if n == nil || h.Room.Self == "" || h.Room.IsMe(message.From) {
		return
	}
	typed, exact := cytube.TypedText(message.HTML)
	text, hasPrefix := strings.CutPrefix(typed, n.settings.Prefix)
	h.dispatch(request{source: fromPM, exact: exact, bare: !hasPrefix}, message.From, text)
}

// greenText is the class of lines that begin with ">".
const greenText = "greentext"

// dispatch finds the command of a text and queues it. r has neither user nor arguments yet.
func (h *Handler) dispatch(r request, userName, text string) {
	n, from := h.Registry.names.Load(), r.source
	user, present := h.Room.Users.Find(userName)
	name, args := cutWord(text)
	name = strings.ToLower(name)
	if n == nil || !n.enabled(from) || !h.Leading() || !present || name == "" || n.ignored[strings.ToLower(user.Name)] {
		return
	}
	r.user, r.args = user, args
	e := n.meant(r, name)
	if e == nil {
		h.rejectUnknown(n, r)
		return
	}
	begun, over := h.Registry.cooldowns.begin(n, e, user.Name, time.Now())
	switch {
	case !over:
		h.rejectEarly(e)
	case e.plugin != "":
		h.Plugins.Call(Call{
			Plugin: e.plugin, Command: e.PluginCommand, Typed: n.typed(e), Via: string(from),
			User: bus.PluginUser{Name: user.Name, Rank: user.Rank}, Args: args, Text: n.settings.Prefix + text,
			Audited: e.auditedArgs(args), Refund: begun.refund, Forgive: begun.forgive,
		})
	default:
		h.queue(job{
			source: from, user: user.Name, name: e.Name, typed: e.typed, args: e.auditedArgs(args), task: h.prepare(n, e, r),
		})
	}
}

// meant returns the command that a user gives, or nil.
func (n *names) meant(r request, typed string) *entry {
	e := n.find(r.source, typed, r.user.Name, r.user.Rank)
	if e != nil && e.plugin != "" && r.bare {
		return nil
	}
	return e
}

// rejectUnknown replies to a moderator who gave a command that does not exist. Others may not have meant the bot.
func (h *Handler) rejectUnknown(n *names, r request) {
	isOwn := func(e *entry) bool { return e.plugin == "" }
	if r.source == fromPM && slices.ContainsFunc(n.permitted(fromPM, r.user.Name, r.user.Rank), isOwn) {
		h.queue(job{source: fromPM, user: r.user.Name, name: unknownName, typed: unknownName, task: fail(errUnknown)})
	}
}

// outcomeCooldown is the outcome of a command that was given too early.
const outcomeCooldown = "cooldown"

// rejectEarly counts a command that was given too early.
func (h *Handler) rejectEarly(e *entry) {
	if e.plugin != "" {
		h.Plugins.Rejected(e.plugin)
		return
	}
	h.Count(string(e.source), e.Name, outcomeCooldown)
}

// prepare checks the permission for a command and returns its task.
func (h *Handler) prepare(n *names, e *entry, r request) task {
	if err := h.checkPermission(e.permission, r.user.Rank); err != nil {
		return fail(err)
	}
	prepared, err := e.run(h, r)
	switch {
	case errors.Is(err, errUsage):
		return fail(errors.New("usage: " + n.synopsis(e)))
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

// synopsis returns a command as a user types it, with its usage.
func (n *names) synopsis(e *entry) string { return strings.TrimSpace(n.typed(e) + " " + e.Usage) }

// typed returns a command as a user types it.
func (n *names) typed(e *entry) string { return n.prefix(e) + e.typed }

// prefix returns what comes before a command: nothing before one of the bot in a private message.
func (n *names) prefix(e *entry) string {
	if e.source == fromPM && e.plugin == "" {
		return ""
	}
	return n.settings.Prefix
}

// auditedArgs returns the part of the arguments that is published: of a private command of the bot the first word, and
// nothing of a private one of a plugin, nor of any that a plugin gets in a private message, which is nobody else's
// business.
func (e *entry) auditedArgs(args string) string {
	isPrivate, shown, hidden := e.Private, "", args
	if e.plugin == "" {
		shown, hidden = cutWord(args)
	} else if e.source == fromPM {
		isPrivate = true
	}
	if !isPrivate || hidden == "" {
		return args
	}
	return strings.TrimSpace(fmt.Sprintf("%s (%d characters)", shown, len([]rune(hidden))))
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
