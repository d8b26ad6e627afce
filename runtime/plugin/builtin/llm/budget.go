package llm

import (
	"context"
	"fmt"
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
)

// reservation is what was taken from the budgets of a day for one answer.
type reservation struct {
	dayKey, tokenKey string
	tokens           int64
	lasts            time.Duration
}

// reserve takes one answer with an estimate of its tokens from the budgets, or returns an overBudget. Without the
// database there is no answer: it would not be counted.
func reserve(ctx context.Context, c *plugin.Channel, estimate int64) (reservation, error) {
	settings, now := c.Settings(), c.Now().UTC()
	midnight := now.Truncate(24 * time.Hour).Add(24 * time.Hour)
	day, dayLasts := now.Format(time.DateOnly), midnight.Sub(now)+time.Minute
	tomorrow := fmt.Sprintf("ask me again in %s.", hours(midnight.Sub(now)))
	for _, budget := range []struct {
		key   string
		lasts time.Duration
		most  int
		text  string
	}{
		{minuteKeys + now.Format("15:04"), 2 * time.Minute, settings.Int(perMinute),
			"I answer too much at once: ask me again in a minute."},
		{dayKeys + day, dayLasts, settings.Int(perDay), "I have answered as much as I may today: " + tomorrow},
	} {
		sum, err := c.KV().Add(ctx, budget.key, 1, plugin.Expires(budget.lasts))
		if err != nil {
			return reservation{}, fmt.Errorf("counting the answer: %w", err)
		}
		if sum > int64(budget.most) {
			return reservation{}, overBudget{budget.text, budget.key, budget.lasts}
		}
	}
	taken := reservation{dayKey: dayKeys + day, tokenKey: tokenKeys + day, tokens: estimate, lasts: dayLasts}
	sum, err := c.KV().Add(ctx, taken.tokenKey, estimate, plugin.Expires(dayLasts))
	if err != nil {
		return reservation{}, fmt.Errorf("counting the tokens: %w", err)
	}
	if sum > int64(settings.Int(tokensPerDay)) {
		if err := taken.correct(ctx, c, new(int64)); err != nil {
			return reservation{}, err
		}
		return reservation{}, overBudget{"I have used up my words of today: " + tomorrow, taken.tokenKey, dayLasts}
	}
	return taken, nil
}

// correct puts the number of tokens that were used in the place of the estimate. Nil: it is not known, and the estimate
// stays. Where none were used, it was no answer.
func (r reservation) correct(ctx context.Context, c *plugin.Channel, used *int64) error {
	if used == nil || *used == r.tokens {
		return nil
	}
	// It is done even if who asked has gone.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), correctTimeout)
	defer cancel()
	_, err := c.KV().Add(ctx, r.tokenKey, *used-r.tokens, plugin.Expires(r.lasts))
	if err == nil && *used == 0 {
		_, err = c.KV().Add(ctx, r.dayKey, -1, plugin.Expires(r.lasts))
	}
	if err != nil {
		return fmt.Errorf("counting what was used: %w", err)
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
