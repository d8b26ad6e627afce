package cli

import (
	"fmt"
	"slices"
	"strings"

	"rosey.dev/rosey/runtime/bus"
)

// Filter chooses messages: those of any of its subjects, if it has some, with all of its fields. Requests,
// with which bots ask all the time, need a subject that matches them.
type Filter struct {
	subjects [][]string // patterns as tokens
	fields   []wanted
}

type wanted struct{ name, value string }

// ParseFilter makes a filter of subject patterns without the prefix, such as "db.user.*" or "events.>", and
// of fields of the body, such as "username=alice".
func ParseFilter(texts []string) (Filter, error) {
	var f Filter
	for _, text := range texts {
		if name, value, isField := strings.Cut(text, "="); isField {
			f.fields = append(f.fields, wanted{name, value})
			continue
		}
		tokens := strings.Split(text, ".")
		for i, token := range tokens {
			if token == "" || strings.ContainsAny(token, " \t") || (token == ">" && i < len(tokens)-1) {
				return Filter{}, fmt.Errorf(
					"%q, expected a subject without prefix such as db.user.* or events.>, or a field such as username=alice", text)
			}
		}
		f.subjects = append(f.subjects, tokens)
	}
	return f, nil
}

func (f Filter) matches(m Message) bool {
	matched := len(f.subjects) == 0 && !m.Request
	for _, pattern := range f.subjects {
		matched = matched || matchesSubject(pattern, m.Subject)
	}
	if !matched {
		return false
	}
	return !slices.ContainsFunc(f.fields, func(want wanted) bool {
		value, ok := m.field(want.name)
		return !ok || !strings.EqualFold(fmt.Sprint(value), want.value)
	})
}

func matchesSubject(pattern []string, subject bus.Suffix) bool {
	tokens := strings.Split(string(subject), ".")
	for i, token := range pattern {
		switch {
		case token == ">":
			return len(tokens) > i
		case i >= len(tokens), token != "*" && token != tokens[i]:
			return false
		}
	}
	return len(pattern) == len(tokens)
}
