package countdown

import (
	"context"
	"errors"
	"fmt"
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

// announce says what begins, or is about to, and removes what has ended.
func announce(ctx context.Context, c *plugin.Channel) error {
	shows, err := all(ctx, c)
	if err != nil {
		return err
	}
	now := c.Now()
	for _, one := range shows {
		if !one.Weekly && now.Sub(one.next) > keptAfter {
			if _, err := c.KV().Delete(ctx, one.key); err != nil {
				return err
			}
			continue
		}
		if err := announceOne(ctx, c, one); err != nil {
			return err
		}
	}
	return nil
}

// announceOne says a countdown if it is time, once for all processes of the plugin.
func announceOne(ctx context.Context, c *plugin.Channel, one upcoming) error {
	now := c.Now()
	for _, text := range c.Settings().List(alerts) {
		before, err := time.ParseDuration(text)
		if err != nil {
			return fmt.Errorf("the setting %s: %w", alerts, err) // impossible: it was checked
		}
		late := now.Sub(one.next.Add(-before))
		if late < 0 || late > alertWindow {
			continue
		}
		said := fmt.Sprintf("%s%d/%s/%s", alertKeys, one.next.Unix(), before, one.key)
		_, err = c.KV().SetIf(ctx, said, true, 0, plugin.Expires(2*alertWindow))
		if _, conflict := errors.AsType[*plugin.ConflictError](err); conflict {
			continue // it has been said
		}
		if err != nil {
			return err
		}
		line := one.Name + " begins now!"
		if left := one.next.Sub(now); left > 0 {
			line = fmt.Sprintf("%s begins in %s.", one.Name, length(left))
		}
		if err := c.Say(ctx, plugin.Cut(line, plugin.MaxLength)); err != nil {
			return err
		}
	}
	return nil
}
