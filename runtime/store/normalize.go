package store

import (
	"strings"
	"time"
)

// Fold is the form of a name by which names are compared.
func Fold(name string) string { return strings.ToLower(name) }

// Fold is the form of a channel by which channels are compared.
func (c Channel) Fold() Channel {
	return Channel{Server: Fold(c.Server), Name: Fold(c.Name)}
}

// Normalize prepares events for a database. Every store calls it first, so that all keep the same.
// It leaves out events without the user they are about, cuts times to milliseconds and cleans texts.
func Normalize(events []Event) []Event {
	normal := make([]Event, 0, len(events))
	for _, event := range events {
		event.ID = CleanText(event.ID)
		event.Channel = Channel{Server: CleanText(event.Channel.Server), Name: CleanText(event.Channel.Name)}
		event.At = time.UnixMilli(event.At.UnixMilli()).UTC()
		event.Fact = cleanFact(event.Fact)
		if event.Fact != nil {
			normal = append(normal, event)
		}
	}
	return normal
}

// cleanFact answers nil for a fact about nobody.
func cleanFact(fact Fact) Fact {
	switch fact := fact.(type) {
	case UserJoined:
		return named(fact.Username, UserJoined{Username: CleanText(fact.Username)})
	case UserLeft:
		return named(fact.Username, UserLeft{Username: CleanText(fact.Username)})
	case ChatLine:
		return named(fact.Username, ChatLine{Username: CleanText(fact.Username), Text: CleanText(fact.Text)})
	case Action:
		return named(fact.Username, Action{
			Username: CleanText(fact.Username), Type: CleanText(fact.Type), Details: CleanText(fact.Details),
		})
	case Status:
		fact.BotName = cleanPointer(fact.BotName)
		fact.ChannelName = cleanPointer(fact.ChannelName)
		fact.CurrentMediaTitle = cleanPointer(fact.CurrentMediaTitle)
		if fact.WatchingSince != nil {
			fact.WatchingSince = new(time.UnixMilli(fact.WatchingSince.UnixMilli()).UTC())
		}
		return fact
	case OutboundFailed:
		fact.Error = CleanText(fact.Error)
		fact.Attempts = min(max(fact.Attempts, 0), MaxAttempts-1)
		return fact
	default:
		return fact
	}
}

func named(name string, fact Fact) Fact {
	if name == "" {
		return nil
	}
	return fact
}

// CleanText replaces what a database's text cannot hold: NUL ends a text in one and is forbidden in
// another, and invalid UTF-8 would fail later, in whoever reads it.
func CleanText(text string) string {
	const replacement = "\uFFFD"
	return strings.ReplaceAll(strings.ToValidUTF8(text, replacement), "\x00", replacement)
}

func cleanPointer(text *string) *string {
	if text == nil {
		return nil
	}
	clean := CleanText(*text)
	return &clean
}
