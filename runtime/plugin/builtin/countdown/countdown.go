// Package countdown is a plugin that counts down to what is to come: a date, or a show that comes every week. It says
// so in the chat some time before, and when it begins.
package countdown

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"rosey.dev/rosey/runtime/plugin"
)

// Version is that of the plugin.
const Version = "1.0.0"

// Names of settings.
const (
	timeZone = "timeZone"
	alerts   = "alerts"
)

const (
	// maxShows is how many countdowns there may be, and maxName how long the name of one is, in UTF-16 code units.
	maxShows, maxName = 50, 60
	// checkInterval is how often the plugin looks whether something is to be said.
	checkInterval = 30 * time.Second
	// alertWindow is how late something is still said: the plugin or the bot may have been away.
	alertWindow = 2 * time.Minute
	// keptAfter is how long a countdown is kept that has ended.
	keptAfter = time.Hour
	// maxAlert is the longest time before.
	maxAlert = 7 * 24 * time.Hour
)

// prefixes of keys.
const (
	showKeys  = "show/"
	alertKeys = "said/"
)

// show is a countdown as it is stored.
type show struct {
	Name string `json:"name"`
	// At is when it begins, and for a weekly one when it began first, in Unix seconds.
	At int64 `json:"at"`
	// Weekly is true if it comes every week at the same time of the day, in Zone.
	Weekly bool   `json:"weekly,omitempty"`
	Zone   string `json:"zone"`
	By     string `json:"by"`
}

// New returns the plugin.
func New() *plugin.Plugin {
	p := plugin.New("countdown", Version)
	p.Setting(plugin.Setting{
		Name: timeZone, Default: "UTC", Help: "The time zone of the channel, for example Europe/Berlin.",
		Check: func(value string) error {
			if _, err := time.LoadLocation(value); err != nil || value == "Local" {
				return errors.New("expected a time zone such as UTC or Europe/Berlin")
			}
			return nil
		},
	})
	p.Setting(plugin.Setting{
		Name: alerts, Default: "1h, 10m, 0s", Check: checkAlerts,
		Help: "How long before something begins it is said in the chat, separated by commas.",
	})
	declareCommands(p)
	p.Every(checkInterval, announce)
	return p
}

func declareCommands(p *plugin.Plugin) {
	cooldown := plugin.Cooldown{User: 3 * time.Second}
	p.Command(plugin.Command{
		Name: "countdown", Aliases: []string{"cd"}, Usage: "[name]", Cooldown: cooldown,
		Help:     "Says how long it is until something, or until what comes next.",
		Examples: []plugin.Example{{Say: "!countdown", Like: `^Nothing is planned\.$`}},
	}, tell)
	p.Command(plugin.Command{
		Name: "countdowns", Aliases: []string{"schedule", "timers"}, Cooldown: cooldown,
		Help: "Lists what is to come.",
		Examples: []plugin.Example{
			{Say: "!countdowns", Like: `^Nothing is planned\.$`}, {Say: "!timers", Like: `^Nothing is planned\.$`},
		},
	}, list)
	p.Command(plugin.Command{
		Name: "addcountdown", Usage: "name = 2031-12-31 20:00 | 20:00 | fri 20:00 | every fri 20:00 | in 90m",
		Rank: plugin.Moderator,
		Help: "Adds a countdown, or changes one.",
		Examples: []plugin.Example{
			{Say: "!addcountdown Movie night = every fri 20:00", Like: `^Movie night: in 4 days 8 h, `},
			{Say: "!addcountdown New Year = 2031-01-01 00:00", Like: `^New Year: in 183 days 12 h, `},
			{Say: "!addcountdown Break = in 90m", Like: `^Break: in 1 h 30 min, `},
			{Say: "!addcountdown Movie night", Wrong: `expected name = time`},
			{Say: "!addcountdown Movie night = soon", Wrong: `"soon", expected`},
		},
	}, add)
	p.Command(plugin.Command{
		Name: "delcountdown", Usage: "name", Rank: plugin.Moderator, Help: "Removes a countdown.",
		Examples: []plugin.Example{{Say: "!delcountdown Movie night", Wrong: `no countdown "Movie night"`}},
	}, remove)
}

// key returns the key of a countdown: names are compared without regard to case and spaces.
func key(name string) string {
	return showKeys + strings.ToLower(strings.Join(strings.Fields(name), " "))
}

// upcoming is a countdown and when it begins next.
type upcoming struct {
	show

	next time.Time
	key  string
}

// all returns all countdowns, by when they begin, those that have ended first.
func all(ctx context.Context, c *plugin.Channel) (shows []upcoming, err error) {
	now := c.Now()
	stored, err := plugin.All[show](ctx, c.KV(), showKeys)
	for _, one := range stored {
		shows = append(shows, upcoming{one.Value, one.Value.next(now), one.Key})
	}
	slices.SortStableFunc(shows, func(a, b upcoming) int { return a.next.Compare(b.next) })
	return shows, err
}

// planned returns those of all that have not begun.
func planned(ctx context.Context, c *plugin.Channel) ([]upcoming, error) {
	shows, err := all(ctx, c)
	now := c.Now()
	return slices.DeleteFunc(shows, func(one upcoming) bool { return one.next.Before(now) }), err
}

const nothing = "Nothing is planned."

func tell(ctx context.Context, c *plugin.Call) (plugin.Reply, error) {
	shows, err := planned(ctx, c.Channel)
	if err != nil {
		return plugin.Reply{}, err
	}
	if c.Args != "" {
		wanted := key(c.Args)
		shows = slices.DeleteFunc(shows, func(one upcoming) bool { return !strings.HasPrefix(one.key, wanted) })
		if len(shows) == 0 {
			return plugin.Reply{}, noSuch(c.Args)
		}
	}
	if len(shows) == 0 {
		return plugin.Text(nothing), nil
	}
	return plugin.Text("%s", shows[0].text(c.Now())), nil
}

func noSuch(name string) error { return plugin.Usage("no countdown %q", plugin.Cut(name, maxName)) }

// listed is how many are in a list.
const listed = plugin.MaxLines

func list(ctx context.Context, c *plugin.Call) (plugin.Reply, error) {
	shows, err := planned(ctx, c.Channel)
	if err != nil {
		return plugin.Reply{}, err
	}
	if len(shows) == 0 {
		return plugin.Text(nothing), nil
	}
	var lines []string
	for _, one := range shows[:min(len(shows), listed)] {
		lines = append(lines, one.text(c.Now()))
	}
	return plugin.Lines(lines...), nil
}

func add(ctx context.Context, c *plugin.Call) (plugin.Reply, error) {
	name, when, found := strings.Cut(c.Args, "=")
	name = plugin.OneLine(name, 2*maxName)
	switch {
	case !found || name == "":
		return plugin.Reply{}, plugin.Usage("expected name = time")
	case plugin.Cut(name, maxName) != name || strings.HasPrefix(name, "/"):
		return plugin.Reply{}, plugin.Usage("the name: expected at most %d characters that do not begin with /", maxName)
	}
	zone, err := time.LoadLocation(c.Settings().Text(timeZone))
	if err != nil {
		return plugin.Reply{}, fmt.Errorf("loading the time zone: %w", err)
	}
	one, err := parse(when, c.Now().In(zone))
	if err != nil {
		return plugin.Reply{}, plugin.UsageError(err)
	}
	one.Name, one.Zone, one.By = name, zone.String(), c.User.Name
	shows, err := all(ctx, c.Channel)
	if err != nil {
		return plugin.Reply{}, err
	}
	isNew := !slices.ContainsFunc(shows, func(other upcoming) bool { return other.key == key(name) })
	if isNew && len(shows) >= maxShows {
		return plugin.Reply{}, plugin.Usage("there are %d countdowns already: remove one first", len(shows))
	}
	if _, err := c.KV().Set(ctx, key(name), one); err != nil {
		return plugin.Reply{}, err
	}
	return plugin.Text("%s", upcoming{one, one.next(c.Now()), key(name)}.text(c.Now())), nil
}

func remove(ctx context.Context, c *plugin.Call) (plugin.Reply, error) {
	existed, err := c.KV().Delete(ctx, key(plugin.OneLine(c.Args, maxName)))
	switch {
	case err != nil:
		return plugin.Reply{}, err
	case c.Args == "" || !existed:
		return plugin.Reply{}, noSuch(c.Args)
	}
	return plugin.Text("Removed."), nil
}

// text says how long it is until a countdown ends.
func (u upcoming) text(now time.Time) string {
	at := u.next.Format("Mon 2 Jan 15:04 MST")
	if u.Weekly {
		at = "every " + u.next.Format("Mon 15:04 MST")
	}
	return plugin.Cut(fmt.Sprintf("%s: in %s, %s", u.Name, length(u.next.Sub(now)), at), plugin.MaxLength)
}

// length returns a duration in words, in its two largest units.
func length(d time.Duration) string {
	minutes := int((d + time.Minute - 1) / time.Minute) // what is left of a minute counts
	if d < time.Minute {
		return fmt.Sprintf("%d s", int(d.Seconds()))
	}
	days, hours, rest := minutes/(24*60), minutes/60%24, minutes%60
	var parts []string
	for _, part := range []struct {
		count int
		unit  string
	}{{days, "days"}, {hours, "h"}, {rest, "min"}} {
		if part.count == 1 && part.unit == "days" {
			part.unit = "day"
		}
		if part.count > 0 && len(parts) < 2 && (days == 0 || part.unit != "min") {
			parts = append(parts, fmt.Sprintf("%d %s", part.count, part.unit))
		}
	}
	return strings.Join(parts, " ")
}

// next returns when it begins next, or when it began if it does not come again.
func (s show) next(now time.Time) time.Time {
	zone, err := time.LoadLocation(s.Zone)
	if err != nil {
		zone = time.UTC
	}
	at := time.Unix(s.At, 0).In(zone)
	if !s.Weekly || at.After(now) {
		return at
	}
	// Whole weeks in the time zone: the hour stays the same when the clocks change.
	weeks := int(now.Sub(at) / (7 * 24 * time.Hour))
	for next := at.AddDate(0, 0, 7*weeks); ; next = next.AddDate(0, 0, 7) {
		if !next.Before(now.Add(-alertWindow)) {
			return next
		}
	}
}

var timeOfDay = regexp.MustCompile(`^(?:(every) )?(?:(mon|tue|wed|thu|fri|sat|sun)[a-z]* )?(\d{1,2}:\d{2})$`)

var weekdays = []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}

// maxAhead is how far away something can be.
const maxAhead = 10 * 366 * 24 * time.Hour

// parse returns when a countdown ends.
func parse(text string, now time.Time) (show, error) {
	text = strings.ToLower(strings.Join(strings.Fields(text), " "))
	if at, err := time.ParseInLocation("2006-01-02 15:04", text, now.Location()); err == nil {
		if at.Before(now) || at.Sub(now) > maxAhead {
			return show{}, fmt.Errorf("%q, expected a time that is to come, within ten years", text)
		}
		return show{At: at.Unix()}, nil
	}
	if after, found := strings.CutPrefix(text, "in "); found {
		d, err := time.ParseDuration(strings.ReplaceAll(after, " ", ""))
		if err == nil && d > 0 && d <= maxAhead {
			return show{At: now.Add(d).Unix()}, nil
		}
	}
	if one, ok := parseTimeOfDay(text, now); ok {
		return one, nil
	}
	return show{}, fmt.Errorf("%q, expected 2031-12-31 20:00, 20:00, fri 20:00, every fri 20:00 or in 90m",
		plugin.Cut(text, 40))
}

// parseTimeOfDay is parse for a time of a day, of a weekday, or of every such weekday.
func parseTimeOfDay(text string, now time.Time) (one show, ok bool) {
	parts := timeOfDay.FindStringSubmatch(text)
	if parts == nil || parts[1] != "" && parts[2] == "" {
		return show{}, false
	}
	clock, err := time.Parse("15:04", parts[3])
	if err != nil {
		return show{}, false
	}
	at := time.Date(now.Year(), now.Month(), now.Day(), clock.Hour(), clock.Minute(), 0, 0, now.Location())
	for range 8 {
		if at.After(now) && (parts[2] == "" || parts[2] == weekdays[at.Weekday()]) {
			return show{At: at.Unix(), Weekly: parts[1] != ""}, true
		}
		at = at.AddDate(0, 0, 1)
	}
	return show{}, false
}
