package command

import (
	"context"
	"errors"
	"strings"

	"rosey.dev/rosey/runtime/cytube"
	"rosey.dev/rosey/runtime/speech"
)

func (h *Handler) afk(r request) (task, error) {
	away := h.Room.Me().AFK
	want := !away
	switch strings.ToLower(r.args) {
	case "":
	case "on":
		want = true
	case "off":
		want = false
	default:
		return nil, errUsage
	}
	done := "The bot is away"
	if !want {
		done = "The bot is back"
	}
	if want == away {
		return reply(done), nil
	}
	return h.actAsLine(h.Conn.ToggleAFK, when(func(e cytube.SetAFK) bool { return h.Room.IsMe(e.Name) }), done), nil
}

// say says a line for a moderator. The server would execute a chat command with the bot's rank instead of the
// moderator's.
func (h *Handler) say(r request) (task, error) {
	if r.args == "" {
		return nil, errUsage
	}
	if containsChatCommand(r.args) {
		return nil, &deniedError{"the bot executes no chat commands except /me"}
	}
	return h.send(speech.Message{Text: r.args, Command: strings.HasPrefix(r.args, "/me ")}), nil
}

// containsChatCommand reports whether the server would execute a text. After /me, which only changes how the line is
// shown, it looks for a second command.
func containsChatCommand(text string) bool {
	text = strings.TrimSpace(text)
	if rest, isMe := strings.CutPrefix(text, "/me "); isMe {
		text = strings.TrimSpace(rest)
	}
	return strings.HasPrefix(text, "/")
}

func (h *Handler) pm(r request) (task, error) {
	to, text := cutWord(r.args)
	if text == "" {
		return nil, errUsage
	}
	user, err := h.present(r, to)
	if err != nil {
		return nil, err
	}
	if h.Room.IsMe(user.Name) {
		return nil, errors.New("the bot sends no private messages to itself")
	}
	return h.send(speech.Message{To: user.Name, Text: text}), nil
}

// send returns the task that says a text.
func (h *Handler) send(m speech.Message) task {
	return func(ctx context.Context) ([]string, error) {
		if got := h.Speaker.Say(ctx, m); got.Outcome != speech.Said {
			return nil, errors.New(got.String())
		}
		return []string{"Said"}, nil
	}
}

// present returns the user of a name in a request.
func (h *Handler) present(r request, name string) (cytube.User, error) {
	user, found := h.find(r, name)
	if !found {
		return cytube.User{}, errors.New("there is no user of that name in the channel")
	}
	return user, nil
}

// find looks for the user of a name in a request. Where a filter of the channel may have taken characters such as "_"
// from the name, it is the only user whose letters and digits are those of the name.
func (h *Handler) find(r request, name string) (user cytube.User, found bool) {
	user, found = h.Room.Users.Find(name)
	if found || r.exact {
		return user, found
	}
	for _, one := range h.Room.Users {
		if lettersAndDigits(one.Name) != lettersAndDigits(name) {
			continue
		}
		if found {
			return cytube.User{}, false
		}
		user, found = one, true
	}
	return user, found
}

// lettersAndDigits returns the letters, in lower case, and digits of a name.
func lettersAndDigits(name string) string {
	return strings.Map(func(r rune) rune {
		if r == '_' || r == '-' {
			return -1
		}
		return r
	}, strings.ToLower(name))
}

func (h *Handler) clear(request) (task, error) {
	byMe := when(func(e cytube.ClearChat) bool { return h.Room.IsMe(e.By) })
	return h.actAsLine(h.Conn.ClearChat, byMe, "The chat is cleared"), nil
}

func (h *Handler) kick(r request) (task, error) {
	name, reason := cutWord(r.args)
	if name == "" {
		return nil, errUsage
	}
	user, err := h.present(r, name)
	switch {
	case err != nil:
		return nil, err
	case h.Room.IsMe(user.Name):
		return nil, errors.New("the bot does not kick itself")
	case user.Rank >= r.user.Rank:
		return nil, &deniedError{user.Name + " has at least your rank"}
	}
	return h.kickUser(user, reason, h.Speaker.Do, "Kicked "+user.Name), nil
}

// kickUser returns the task that kicks a user when it is the turn of that among the lines, and replies with one line.
func (h *Handler) kickUser(
	user cytube.User, reason string, inTurn func(context.Context, func(context.Context) error) error, done string,
) task {
	kick := func(ctx context.Context) error { return h.Conn.Kick(ctx, user.Name, reason) }
	send := func(ctx context.Context) error { return inTurn(ctx, kick) }
	return h.act(send, func(event cytube.Event) (bool, error) {
		switch event := event.(type) {
		case cytube.UserLeave:
			return strings.EqualFold(event.Name, user.Name), nil
		case cytube.ErrorMsg: // "You do not have permission to kick alice"
			if strings.HasSuffix(strings.ToLower(event.Message), " kick "+strings.ToLower(user.Name)) {
				return refused(event.Message)
			}
		}
		return false, nil
	}, done)
}
