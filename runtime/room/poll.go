package room

import "rosey.dev/rosey/runtime/cytube"

// Poll is a poll that is open, or was the last one. It does not change.
type Poll struct {
	cytube.PollState

	// Open is false once it was closed.
	Open bool
}

// after returns what is the last poll after an event. p is nil if there was none.
func (p *Poll) after(event cytube.Event) *Poll {
	switch event := event.(type) {
	case cytube.NewPoll:
		return &Poll{cytube.PollState(event), true}
	case cytube.PollUpdate:
		return &Poll{cytube.PollState(event), true}
	case cytube.PollClosed:
		if p != nil {
			return &Poll{p.PollState, false}
		}
	}
	return p
}
