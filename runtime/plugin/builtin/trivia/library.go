package trivia

import (
	"context"
	"fmt"
	"maps"
	"time"
)

// keptFor is how long the questions that were read are used again: people who may start a round have them read.
const keptFor = 10 * time.Second

// library has the questions that were read last.
type library struct {
	turn chan struct{} // taken by who uses the fields below, and reads: those who come meanwhile use what was read
	// questions are those of directory and texts, read at a time. Zero: none were.
	questions questions
	directory string
	texts     map[string]string
	at        time.Time
}

func newLibrary() *library { return &library{turn: make(chan struct{}, 1)} }

// load returns the questions of the settings as load does, and whether they were read just now. They are not changed.
func (l *library) load(
	ctx context.Context, now time.Time, directory string, texts map[string]string,
) (all questions, isNew bool, err error) {
	select {
	case l.turn <- struct{}{}:
		defer func() { <-l.turn }()
	case <-ctx.Done():
		return questions{}, false, fmt.Errorf("waiting for the questions to be read: %w", context.Cause(ctx))
	}
	isKept := !l.at.IsZero() && now.Sub(l.at) < keptFor
	if isKept && l.directory == directory && maps.Equal(l.texts, texts) {
		return l.questions, false, nil
	}
	if all, err = load(directory, texts); err != nil {
		return questions{}, false, err
	}
	l.questions, l.directory, l.texts, l.at = all, directory, texts, now
	return all, true, nil
}
