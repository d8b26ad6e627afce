package custom

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"rosey.dev/rosey/runtime/plugin"
)

// timed is a text that is said every so often, as it is stored.
type timed struct {
	Text    string `json:"text"`
	Seconds int64  `json:"seconds"` // between two times
	By      string `json:"by"`
	// Last is when it was said last, or added, in Unix seconds.
	Last int64 `json:"last"`
}

func declareTimed(p *plugin.Plugin) {
	p.Command(plugin.Command{
		Name: "addtimed", Usage: "30m text | second line", Rank: plugin.Moderator,
		Help: "Adds a text that is said every so often.",
		Examples: []plugin.Example{
			{Say: "!addtimed 30m Read the !rules", Like: `^Number 1 is said every 30m0s\.$`},
			{Say: "!addtimed 5s spam", Wrong: `from 10m0s to 168h0m0s`}, {Say: "!addtimed often x", Wrong: `a duration`},
		},
	}, addTimed)
	p.Command(plugin.Command{
		Name: "deltimed", Usage: "number", Rank: plugin.Moderator, Help: "Removes a text that is said every so often.",
		Examples: []plugin.Example{{Say: "!deltimed 1", Wrong: `no timed text "1"`}},
	}, deleteTimed)
	p.Command(plugin.Command{
		Name: "timed", Rank: plugin.Moderator, Help: "Lists the texts that are said every so often.",
		Examples: []plugin.Example{{Say: "!timed", Like: `^There are none\.$`}},
	}, listTimed)
}

// maxInterval is the longest time between two.
const maxInterval = 7 * 24 * time.Hour

func addTimed(ctx context.Context, c *plugin.Call) (plugin.Reply, error) {
	every, body, _ := strings.Cut(c.Args, " ")
	interval, err := time.ParseDuration(every)
	if shortest := c.Settings().Duration(minInterval); err != nil || interval < shortest || interval > maxInterval {
		return plugin.Reply{}, plugin.Usage("expected a duration from %v to %v, such as 30m, and a text", shortest,
			maxInterval)
	}
	if err := checkText(strings.Join(fill(body, "", ""), separator)); err != nil { // it is for nobody
		return plugin.Reply{}, err
	}
	one := timed{Text: body, Seconds: int64(interval.Seconds()), By: c.User.Name, Last: c.Now().Unix()}
	for number := 1; number <= maxTimed; number++ {
		created, err := c.KV().Create(ctx, timedKey(number), one)
		if created || err != nil {
			return plugin.Text("Number %d is said every %v.", number, interval), err
		}
	}
	return plugin.Reply{}, plugin.Usage("there are %d already: remove one first", maxTimed)
}

func timedKey(number int) string { return fmt.Sprintf("%s%02d", timedKeys, number) }

func deleteTimed(ctx context.Context, c *plugin.Call) (plugin.Reply, error) {
	number, err := strconv.Atoi(c.Args)
	existed := false
	if err == nil {
		if existed, err = c.KV().Delete(ctx, timedKey(number)); err != nil {
			return plugin.Reply{}, err
		}
	}
	if !existed {
		return plugin.Reply{}, plugin.Usage("no timed text %q", plugin.Cut(c.Args, 30))
	}
	return plugin.Text("Removed."), nil
}

func listTimed(ctx context.Context, c *plugin.Call) (plugin.Reply, error) {
	all, err := plugin.All[timed](ctx, c.KV(), timedKeys)
	switch {
	case err != nil:
		return plugin.Reply{}, err
	case len(all) == 0:
		return plugin.Text("There are none."), nil
	}
	var parts []string
	for _, one := range all {
		number := strings.TrimLeft(strings.TrimPrefix(one.Key, timedKeys), "0")
		parts = append(parts, fmt.Sprintf("%s: every %v, %s", number, time.Duration(one.Value.Seconds)*time.Second,
			plugin.Cut(one.Value.Text, 40)))
	}
	return plugin.Text("%s", plugin.Cut(strings.Join(parts, "; "), plugin.MaxLength)), nil
}

// sayTimed says what is due. Of several processes, the one that notes it first says it.
func sayTimed(ctx context.Context, c *plugin.Channel) error {
	now := c.Now().Unix()
	var problems []error
	for entry, err := range c.KV().List(ctx, timedKeys) {
		if err != nil {
			return errors.Join(append(problems, err)...)
		}
		err = sayIfDue(ctx, c, entry, now)
		if err != nil {
			problems = append(problems, fmt.Errorf("%s: %w", entry.Key, err))
		}
		if errors.Is(err, plugin.ErrAway) {
			break // nobody would say the others either: they stay due
		}
	}
	return errors.Join(problems...)
}

func sayIfDue(ctx context.Context, c *plugin.Channel, entry plugin.Entry, now int64) error {
	var one timed
	if err := entry.Decode(&one); err != nil {
		return err
	}
	if now-one.Last < one.Seconds {
		return nil
	}
	noted := one
	noted.Last = now
	revision, err := c.KV().SetIf(ctx, entry.Key, noted, entry.Revision)
	if _, conflict := errors.AsType[*plugin.ConflictError](err); conflict {
		return nil
	}
	if err != nil {
		return fmt.Errorf("noting what is said: %w", err)
	}
	err = c.Say(ctx, fill(one.Text, "", "")...)
	if !errors.Is(err, plugin.ErrAbsent) {
		return err
	}
	// It was surely not said: it is due as before, unless somebody has changed it.
	_, undone := c.KV().SetIf(ctx, entry.Key, one, revision)
	return errors.Join(err, plugin.IgnoreConflict(undone))
}
