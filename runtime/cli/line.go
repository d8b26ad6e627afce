package cli

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"rosey.dev/rosey/runtime/cytube"
	"rosey.dev/rosey/runtime/status"
)

// beside are fields that every message has or that say again what others say.
var beside = []string{"server", "channel", "timestamp", "event", "platform_data", "user_data", "users"}

// subjectWidth keeps lines under each other. Events have the longest subjects, with the channel's name in them.
const subjectWidth = 34

// Line is the message in a line for people: when it arrived, on which subject, and what it says.
func (m Message) Line() string {
	about := m.about()
	if m.Request {
		about = "? " + about
	}
	at := m.Time.Local().Format("15:04:05")
	return fmt.Sprintf("%s  %-*s  %s", at, subjectWidth, m.Subject, status.Printable(strings.TrimSpace(about)))
}

func (m Message) about() string {
	if m.fields == nil {
		return m.Text + string(m.Payload)
	}
	rest := maps.Clone(m.fields)
	if status, ok := rest["status_data"].(map[string]any); ok {
		delete(rest, "status_data")
		maps.Copy(rest, status)
	}
	user := take(rest, "username", "user")
	text := take(rest, "message", "content")
	for _, name := range beside {
		delete(rest, name)
	}
	var words []string
	if user != "" && text != "" {
		user += ":"
	}
	words = append(words, user, cytube.PlainText(text))
	for _, name := range slices.Sorted(maps.Keys(rest)) {
		if value := rest[name]; value != nil {
			words = append(words, name+"="+compact(value))
		}
	}
	return strings.Join(slices.DeleteFunc(words, func(word string) bool { return word == "" }), " ")
}

// take removes fields and returns the first that is text.
func take(fields map[string]any, names ...string) (found string) {
	for _, name := range names {
		if text, ok := fields[name].(string); ok {
			delete(fields, name)
			if found == "" {
				found = text
			}
		}
	}
	return found
}

func compact(value any) string {
	switch value := value.(type) {
	case string:
		if strings.ContainsAny(value, " =") {
			return fmt.Sprintf("%q", value)
		}
		return value
	case float64:
		return strings.TrimSuffix(fmt.Sprintf("%.3f", value), ".000")
	default:
		return fmt.Sprint(value)
	}
}
