package countdown

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	_ "time/tzdata" // the image of the program has no time zones

	"rosey.dev/rosey/runtime/plugin"
)

// checkAlerts returns what is wrong with a list of times.
func checkAlerts(value string) error {
	for part := range strings.SplitSeq(value, ",") {
		part = strings.TrimSpace(part)
		if part == "" {
			continue
		}
		if d, err := time.ParseDuration(part); err != nil || d < 0 || d > maxAlert {
			return fmt.Errorf("%q, expected durations from 0s to %v, such as 1h, 10m, 0s", part, maxAlert)
		}
	}
	return nil
}

// alert is a line that is to be said, and the key that notes that it was.
type alert struct{ line, key string }

// announce says what begins, or is about to, and removes what has ended.
func announce(ctx context.Context, c *plugin.Channel) error {
	shows, err := all(ctx, c)
	if err != nil {
		return err
	}
	now := c.Now()
	var problems []error
	var due []alert
	for _, one := range shows {
		if !one.Weekly && now.Sub(one.next) > keptAfter {
			if _, err := c.KV().Delete(ctx, one.key); err != nil {
				problems = append(problems, err)
			}
			continue
		}
		some, err := one.due(now, c.Settings().List(alerts))
		if err != nil {
			problems = append(problems, err)
		}
		due = append(due, some...)
	}
	// Several in one request: each may wait for the flood limit, and what comes too late is not said.
	for some := range slices.Chunk(due, plugin.MaxLines) {
		err := sayAlerts(ctx, c, some)
		if err != nil {
			problems = append(problems, err)
		}
		if errors.Is(err, plugin.ErrAway) {
			break // nobody would say the others either: they stay due
		}
	}
	return errors.Join(problems...)
}

// due returns what is to be said of a countdown now. before says how long before it begins.
func (u upcoming) due(now time.Time, before []string) (due []alert, err error) {
	for _, text := range before {
		d, err := time.ParseDuration(text)
		if err != nil {
			return nil, fmt.Errorf("the setting %s: %w", alerts, err) // impossible: it was checked
		}
		late := now.Sub(u.next.Add(-d))
		if late < 0 || late > alertWindow {
			continue
		}
		line := u.Name + " begins now!"
		if left := u.next.Sub(now); left > 0 {
			line = fmt.Sprintf("%s begins in %s.", u.Name, length(left))
		}
		due = append(due, alert{
			plugin.Cut(line, plugin.MaxLength), fmt.Sprintf("%s%d/%s/%s", alertKeys, u.next.Unix(), d, u.key),
		})
	}
	return due, nil
}

// sayAlerts says those alerts that were not said yet, once for all processes of the plugin.
func sayAlerts(ctx context.Context, c *plugin.Channel, some []alert) error {
	var lines, noted []string
	var problems []error
	for _, one := range some {
		isFirst, err := c.KV().Create(ctx, one.key, true, plugin.Expires(2*alertWindow))
		if err != nil {
			problems = append(problems, err)
		}
		if isFirst { // otherwise it has been said
			lines, noted = append(lines, one.line), append(noted, one.key)
		}
	}
	if len(lines) == 0 {
		return errors.Join(problems...)
	}
	err := c.Say(ctx, lines...)
	if err != nil {
		problems = append(problems, err)
	}
	if errors.Is(err, plugin.ErrAbsent) { // they were surely not said: they stay due
		for _, key := range noted {
			_, undone := c.KV().Delete(ctx, key)
			problems = append(problems, undone)
		}
	}
	return errors.Join(problems...)
}
