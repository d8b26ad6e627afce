package llm

import (
	"context"
	"fmt"
	"strings"
	"time"

	"rosey.dev/rosey/runtime/plugin"
)

// overBudget is the error where a budget is used up. Its text is for the chat.
type overBudget struct {
	text   string
	window string // names the budget and its window
	lasts  time.Duration
}

func (e overBudget) Error() string { return e.text }

// Keys of budgets: each has the window at its end, and vanishes after it.
const (
	minuteKeys = "answers/minute/"
	dayKeys    = "answers/day/"
	tokenKeys  = "tokens/day/"
	// Those of a person have the day and their name, in lower case, at the end, and those of all guests the day alone.
	personKeys      = "answers/person/"
	personTokenKeys = "tokens/person/"
	guestKeys       = "answers/guests/"
	guestTokenKeys  = "tokens/guests/"
)

// counter is what a budget counts.
type counter int

const (
	inMinute counter = iota // questions to the model; those that it did not answer too
	answers
	tokens
)

// budget is what may be used in a window.
type budget struct {
	key     string
	lasts   time.Duration
	counted counter
	most    int64
	// isShare is whether the last answer of the window may be longer than what is left. Otherwise whoever has a small
	// share of the tokens could never ask.
	isShare bool
	refusal string
}

// isOver reports whether the budget does not suffice for an amount, which makes the sum.
func (b budget) isOver(sum, amount int64) bool {
	if b.isShare {
		return sum-amount >= b.most
	}
	return sum > b.most
}

// budgets returns what bounds an answer to somebody. Those of a person come last: whoever asks in vain, under however
// many names, leaves no keys.
func budgets(settings plugin.Settings, who string, rank float64, now time.Time) []budget {
	midnight := now.Truncate(24 * time.Hour).Add(24 * time.Hour)
	day, lasts := now.Format(time.DateOnly), midnight.Sub(now)+time.Minute
	tomorrow := fmt.Sprintf("ask me again in %s.", hours(midnight.Sub(now)))
	perDay, perDayTokens := int64(settings.Int(perDay)), int64(settings.Int(tokensPerDay))
	all := []budget{
		{
			key: minuteKeys + now.Format("15:04"), lasts: 2 * time.Minute, counted: inMinute,
			most: int64(settings.Int(perMinute)), refusal: "I answer too much at once: ask me again in a minute.",
		},
		{
			key: dayKeys + day, lasts: lasts, counted: answers, most: perDay,
			refusal: "I have answered as much as I may today: " + tomorrow,
		},
		{
			key: tokenKeys + day, lasts: lasts, counted: tokens, most: perDayTokens,
			refusal: "I have used up my words of today: " + tomorrow,
		},
	}
	// Everybody can take as many names as they like as a guest, so all guests are as one.
	share, whose := int64(settings.Int(guestShare)), "guests"
	answerKey, tokenKey := guestKeys+day, guestTokenKeys+day
	if rank >= plugin.Registered {
		share, whose = int64(settings.Int(personShare)), who
		answerKey, tokenKey = personKeys+day+"/"+strings.ToLower(who), personTokenKeys+day+"/"+strings.ToLower(who)
	}
	refusal := fmt.Sprintf("I have answered %s as much as I may today: %s", whose, tomorrow)
	return append(all,
		budget{answerKey, lasts, answers, percent(share, perDay), true, refusal},
		budget{tokenKey, lasts, tokens, percent(share, perDayTokens), true, refusal})
}

// percent returns a share, rounded up.
func percent(share, all int64) int64 { return (share*all + 99) / 100 }

// reservation is what was taken from the budgets for one answer.
type reservation struct {
	taken  []budget
	tokens int64
}

// reserve takes one answer to somebody, with an estimate of its tokens, from the budgets, or returns an overBudget.
// Without the database there is no answer: it would not be counted.
func reserve(ctx context.Context, c *plugin.Channel, said line, estimate int64) (reservation, error) {
	r := reservation{tokens: estimate}
	for _, one := range budgets(c.Settings(), said.who, said.rank, c.Now().UTC()) {
		amount := int64(1)
		if one.counted == tokens {
			amount = estimate
		}
		sum, err := c.KV().Add(ctx, one.key, amount, plugin.Expires(one.lasts))
		if err != nil {
			return reservation{}, fmt.Errorf("counting the answer: %w", err)
		}
		r.taken = append(r.taken, one)
		if one.isOver(sum, amount) {
			if err := r.giveBack(ctx, c); err != nil {
				return reservation{}, err
			}
			return reservation{}, overBudget{one.refusal, one.key, one.lasts}
		}
	}
	return r, nil
}

// used returns how many tokens were used: the estimate if it is not known.
func (r reservation) used(known *int64) int64 {
	if known == nil {
		return r.tokens
	}
	return *known
}

// correct puts the number of tokens that were used in the place of the estimate. Nil: it is not known, and the estimate
// stays. Where none were used, it was no answer.
func (r reservation) correct(ctx context.Context, c *plugin.Channel, used *int64) error {
	if used == nil || *used == r.tokens {
		return nil
	}
	return r.change(ctx, c, func(counted counter) int64 {
		switch {
		case counted == tokens:
			return *used - r.tokens
		case counted == answers && *used == 0:
			return -1
		}
		return 0
	})
}

// giveBack gives back everything that was taken, because nothing is asked. That is so for the minute too: it is
// everybody's, and those who have used up their share would otherwise use up that as well.
func (r reservation) giveBack(ctx context.Context, c *plugin.Channel) error {
	return r.change(ctx, c, func(counted counter) int64 {
		if counted == tokens {
			return -r.tokens
		}
		return -1
	})
}

// change adds to the budgets from which something was taken, even if who asked has gone.
func (r reservation) change(ctx context.Context, c *plugin.Channel, by func(counter) int64) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), correctTimeout)
	defer cancel()
	for _, one := range r.taken {
		amount := by(one.counted)
		if amount == 0 {
			continue
		}
		if _, err := c.KV().Add(ctx, one.key, amount, plugin.Expires(one.lasts)); err != nil {
			return fmt.Errorf("counting what was used: %w", err)
		}
	}
	return nil
}

const correctTimeout = 5 * time.Second

// hours returns a time of at most a day in words.
func hours(d time.Duration) string {
	if d < time.Hour {
		return fmt.Sprintf("%d min", int(d/time.Minute)+1)
	}
	return fmt.Sprintf("%d h", int((d+time.Hour-1)/time.Hour))
}
