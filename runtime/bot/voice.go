package bot

import (
	"context"
	"strings"
	"sync"
	"time"

	"rosey.dev/rosey/runtime/cytube"
)

// verdict is what became of something that the bot said. Its text is a label of metrics.
type verdict string

const (
	said       verdict = "said"       // it came back
	muted      verdict = "muted"      // the bot is muted
	forbidden  verdict = "forbidden"  // the bot's rank is too low
	throttled  verdict = "throttled"  // too many lines, again and again
	filtered   verdict = "filtered"   // the spam filter took it
	refused    verdict = "refused"    // the server's words say why
	doubtful   verdict = "doubtful"   // nobody knows whether it was said before
	unanswered verdict = "unanswered" // it did not come back in time
	gone       verdict = "gone"       // the connection ended, or the lock ran out
)

// answer is a verdict with the server's words, which may be empty.
type answer struct {
	verdict verdict
	words   string
	// wait is how long a throttled line has to wait.
	wait time.Duration
	// unsent: the connection ended, or the lock ran out, before it was sent.
	unsent bool
}

// text is verdict and words for people.
func (a answer) text() string {
	if a.words == "" {
		return string(a.verdict)
	}
	return string(a.verdict) + ": " + a.words
}

// utterance is a line for the channel, or for one user.
type utterance struct{ to, text string }

// maxThrottled is how often a line is tried again that the server throttles.
const maxThrottled = 5

// voice says one thing at a time and waits until it comes back: the server confirms nothing and rewrites
// the text, so only the order tells which line came back.
//
// speak may be called from many goroutines; the session's tells it through the other methods.
type voice struct {
	conn *cytube.Conn
	echo time.Duration
	// may is asked right before something is sent: past its time a leader is silent.
	may   func() bool
	pacer *pacer
	turn  chan struct{}

	mu      sync.Mutex
	waiting *waiting
}

// waiting is an utterance that was sent and not answered.
type waiting struct {
	utterance
	answer chan answer
}

func newVoice(conn *cytube.Conn, echo time.Duration, may func() bool) *voice {
	return &voice{conn: conn, echo: echo, may: may, pacer: newPacer(), turn: make(chan struct{}, 1)}
}

// speak says something and returns what became of it.
func (v *voice) speak(ctx context.Context, u utterance) answer {
	if !v.takeTurn(ctx) {
		return answer{verdict: gone, unsent: true}
	}
	defer v.giveTurn()
	var last answer
	for range maxThrottled {
		if !v.pause(ctx) {
			return answer{verdict: gone, unsent: true}
		}
		last = v.try(ctx, u)
		if last.verdict != throttled {
			return last
		}
		v.pacer.refused(last.wait, time.Now())
	}
	return last
}

// send does something that counts as a line and does not come back as one.
func (v *voice) send(ctx context.Context, do func(context.Context) error) error {
	if !v.takeTurn(ctx) {
		return ctx.Err()
	}
	defer v.giveTurn()
	if !v.pause(ctx) {
		return ctx.Err()
	}
	if !v.may() {
		return errNotLeading
	}
	v.pacer.sent(time.Now())
	return do(ctx)
}

func (v *voice) takeTurn(ctx context.Context) bool {
	select {
	case v.turn <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

func (v *voice) giveTurn() { <-v.turn }

func (v *voice) pause(ctx context.Context) bool {
	return sleep(ctx, v.pacer.delay(time.Now()))
}

// sleep is false when ctx ended first.
func sleep(ctx context.Context, wait time.Duration) bool {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}

func (v *voice) try(ctx context.Context, u utterance) answer {
	w := &waiting{utterance: u, answer: make(chan answer, 1)}
	v.setWaiting(w)
	defer v.setWaiting(nil)
	if !v.may() {
		return answer{verdict: gone, unsent: true}
	}
	v.pacer.sent(time.Now())
	if v.write(ctx, u) != nil {
		return answer{verdict: gone} // the session ends with the reason
	}
	late := time.NewTimer(v.echo)
	defer late.Stop()
	select {
	case <-ctx.Done():
		return answer{verdict: gone}
	case <-late.C:
		return answer{verdict: unanswered}
	case got := <-w.answer:
		return got
	}
}

func (v *voice) write(ctx context.Context, u utterance) error {
	if u.to == "" {
		return v.conn.Say(ctx, u.text)
	}
	return v.conn.PM(ctx, u.to, u.text)
}

func (v *voice) setWaiting(w *waiting) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.waiting = w
}

// resolve gives what waits its answer if it matches.
func (v *voice) resolve(got answer, matches func(utterance) bool) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.waiting == nil || !matches(v.waiting.utterance) {
		return false
	}
	select {
	case v.waiting.answer <- got:
		return true
	default:
		return false // it has its answer already
	}
}

// heardOwn takes a line under our name. overdue says whether an earlier line that looks like this one is
// missing; such a line goes first only if what waits looks different.
func (v *voice) heardOwn(html string, overdue func(shown string) bool) {
	shown := plainText(html)
	isChat := func(u utterance) bool { return u.to == "" }
	looksAlike := func(u utterance) bool { return isChat(u) && shownAs(u.text) == shown }
	if v.resolve(answer{verdict: said}, looksAlike) || overdue(shown) {
		return
	}
	v.resolve(answer{verdict: said}, isChat)
}

// heardOwnPM takes a private message of ours.
func (v *voice) heardOwnPM(to string) {
	v.resolve(answer{verdict: said}, func(u utterance) bool { return strings.EqualFold(u.to, to) })
}

// heardRefusal takes what the server says instead of a line.
func (v *voice) heardRefusal(event cytube.Event) {
	anything := func(utterance) bool { return true }
	switch event := event.(type) {
	case cytube.Cooldown:
		v.resolve(answer{verdict: throttled, words: "too many lines at once", wait: event.Wait}, anything)
	case cytube.SpamFiltered:
		v.resolve(answer{verdict: filtered, words: "spam filter: " + plainText(event.Reason)}, anything)
	case cytube.NoFlood:
		verdict := refused
		if event.IsMute() {
			verdict = muted
		}
		v.resolve(answer{verdict: verdict, words: plainText(event.Message)}, func(u utterance) bool { return u.to == "" })
	case cytube.ErrorMsg:
		// An error can be about anything that we did; those about private messages say so, and lines
		// that are no commands have none.
		about := func(u utterance) bool {
			return u.to != "" && strings.Contains(event.Message, "PM") || u.to == "" && strings.HasPrefix(u.text, "/")
		}
		v.resolve(answer{verdict: refused, words: plainText(event.Message)}, about)
	}
}
