package bot

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"rosey.dev/rosey/runtime/cytube"
	"rosey.dev/rosey/runtime/speech"
)

// userName is CyTube's rule for names.
var userName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,20}$`)

func isUserName(name string) bool { return userName.MatchString(name) }

func fail(err error) work {
	return func(context.Context) ([]string, error) { return nil, err }
}

func (s *session) pmAFK(r request) (work, error) {
	away := s.room.Me().AFK
	want := !away
	switch strings.ToLower(r.args) {
	case "":
	case "on":
		want = true
	case "off":
		want = false
	default:
		return nil, wrongUsage("afk [on|off]")
	}
	words := "The bot is away"
	if !want {
		words = "The bot is back"
	}
	if want == away {
		return now(words), nil
	}
	changed := s.expect(func(event cytube.Event) *outcome {
		if afk, ok := event.(cytube.SetAFK); ok && s.room.IsMe(afk.Name) {
			return done()
		}
		return nil
	})
	return s.asLine(changed, s.conn.ToggleAFK, words), nil
}

// pmSay says a line for a moderator. A command would be done with the bot's rank instead of theirs.
func (s *session) pmSay(r request) (work, error) {
	if r.args == "" {
		return nil, wrongUsage("say MESSAGE")
	}
	if hidesCommand(r.args) {
		return nil, &deniedError{"the bot says lines, but gives no commands but /me"}
	}
	return s.speaking(speech.Message{Text: r.args}), nil
}

// hidesCommand is true for what the server would take for a command, also behind one that only changes how
// the line looks: it looks for another behind that.
func hidesCommand(text string) bool {
	text = strings.TrimSpace(text)
	if rest, isMe := strings.CutPrefix(text, "/me "); isMe {
		text = strings.TrimSpace(rest)
	}
	return strings.HasPrefix(text, "/")
}

func (s *session) pmPM(r request) (work, error) {
	to, text := cut(r.args)
	if text == "" {
		return nil, wrongUsage("pm USER MESSAGE")
	}
	user, err := s.present(to)
	if err != nil {
		return nil, err
	}
	if s.room.IsMe(user.Name) {
		return nil, errors.New("the bot does not write to itself")
	}
	return s.speaking(speech.Message{To: user.Name, Text: text}), nil
}

func (s *session) present(name string) (cytube.User, error) {
	user, known := s.room.Users.Find(name)
	if !known {
		return cytube.User{}, errors.New("there is nobody of that name in the channel")
	}
	return user, nil
}

// speaking makes work of saying something.
func (s *session) speaking(m speech.Message) work {
	return func(ctx context.Context) ([]string, error) {
		for _, part := range cytube.SplitLine(m.Text, cytube.MaxLine) {
			if got := s.speaker.Say(ctx, speech.Message{To: m.To, Text: part}); got.Outcome != speech.Said {
				return nil, errors.New(got.String())
			}
		}
		return []string{"Said"}, nil
	}
}

func (s *session) pmClear(request) (work, error) {
	cleared := s.expect(func(event cytube.Event) *outcome {
		if event, ok := event.(cytube.ClearChat); ok && s.room.IsMe(event.By) {
			return done()
		}
		return nil
	})
	return s.asLine(cleared, s.conn.ClearChat, "The chat is cleared"), nil
}

func (s *session) pmKick(r request) (work, error) {
	name, reason := cut(r.args)
	if name == "" {
		return nil, wrongUsage("kick USER [REASON]")
	}
	user, err := s.present(name)
	switch {
	case err != nil:
		return nil, err
	case s.room.IsMe(user.Name):
		return nil, errors.New("the bot does not kick itself")
	case user.Rank >= r.user.Rank:
		return nil, &deniedError{fmt.Sprintf("%s has at least your rank", user.Name)}
	}
	left := s.expect(func(event cytube.Event) *outcome {
		switch event := event.(type) {
		case cytube.UserLeave:
			if strings.EqualFold(event.Name, user.Name) {
				return done()
			}
		case cytube.ErrorMsg:
			if strings.Contains(event.Message, "kick") {
				return failed(event.Message)
			}
		}
		return nil
	})
	do := func(ctx context.Context) error { return s.conn.Kick(ctx, user.Name, reason) }
	return s.asLine(left, do, "Kicked "+user.Name), nil
}

// asLine makes work of a command that goes through the chat, and so counts for its flood rules.
func (s *session) asLine(e *expectation, do func(context.Context) error, words string) work {
	return s.asRequest(e, func(ctx context.Context) error { return s.speaker.Do(ctx, do) }, words)
}

// asRequest makes work of something that an event confirms.
func (s *session) asRequest(e *expectation, do func(context.Context) error, words string) work {
	return func(ctx context.Context) ([]string, error) {
		if err := s.after(ctx, e, do); err != nil {
			return nil, err
		}
		return []string{words}, nil
	}
}
