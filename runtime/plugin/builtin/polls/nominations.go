package polls

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"rosey.dev/rosey/runtime/plugin"
)

const (
	nominationKeys = "nominee/"
	// nominationKept is how long a nomination is kept.
	nominationKept = 30 * 24 * time.Hour
	// maxName bounds the name of a film, in UTF-16 code units, and maxLink a link, in bytes: with who nominated it, it
	// fits into an option of a poll.
	maxName, maxLink = 60, 180
)

// nomination is a film that somebody wants to see, as it is stored.
type nomination struct {
	By  string `json:"by"`
	URL string `json:"url"`
	// Media is the same for all links of the film. Empty: it is not known.
	Media string `json:"media,omitempty"`
	// Title is what By calls it. Empty: it has no name but the link.
	Title string `json:"title,omitempty"`
	At    int64  `json:"at"` // in Unix seconds
}

// name returns what the nomination is called.
func (n nomination) name() string {
	if n.Title != "" {
		return n.Title
	}
	return n.URL
}

// key returns the key of the nomination of a person, who has one.
func key(by string) string { return nominationKeys + strings.ToLower(by) }

func (v *votes) declareNominations(p *plugin.Plugin) {
	cooldown := plugin.Cooldown{User: 3 * time.Second}
	p.Command(plugin.Command{
		Name: "nominate", Aliases: []string{"nom"}, Usage: "link [title]", Rank: plugin.Registered, Cooldown: cooldown,
		Timeout: actTimeout, Help: "Nominates a film for the next vote. Everybody has one nomination.",
		Examples: []plugin.Example{
			{Say: "!nominate https://youtu.be/Xh8OOKQXqOQ Metropolis", Like: `^alice nominates Metropolis\. 1 of 10 `},
			{Say: "!nominate", Wrong: `expected a link`},
		},
	}, v.nominate)
	p.Command(plugin.Command{
		Name: "nominations", Aliases: []string{"noms"}, Cooldown: cooldown, Help: "Lists the films that are nominated.",
		Examples: []plugin.Example{{Say: "!nominations", Like: `^Nothing is nominated\.$`}},
	}, list)
	p.Command(plugin.Command{
		Name: "unnominate", Usage: "[user]", Rank: plugin.Registered,
		Help:     "Withdraws a nomination: one's own, or for moderators that of anybody.",
		Examples: []plugin.Example{{Say: "!unnominate", Wrong: `you have nominated nothing`}},
	}, withdraw)
	p.Command(plugin.Command{
		Name: "clearnominations", Rank: plugin.Moderator, Help: "Withdraws all nominations.",
		Examples: []plugin.Example{{Say: "!clearnominations", Like: `^Withdrawn: 0\.$`}},
	}, clearAll)
	p.Command(plugin.Command{
		Name: "moviepoll", Aliases: []string{"filmpoll"}, Usage: "[5m]", Rank: plugin.Moderator, Timeout: actTimeout,
		Help: "Opens a poll on the nominations. The winner is added to the playlist.",
		Examples: []plugin.Example{
			{Say: "!moviepoll", Wrong: `at least 2 films`}, {Say: "!moviepoll 1s", Wrong: `30s to 1h`},
		},
	}, v.start)
}

// nominations returns all nominations, the oldest first.
func nominations(ctx context.Context, c *plugin.Channel) (all []nomination, err error) {
	stored, err := plugin.All[nomination](ctx, c.KV(), nominationKeys)
	for _, one := range stored {
		all = append(all, one.Value)
	}
	slices.SortStableFunc(all, func(a, b nomination) int {
		return cmp.Or(cmp.Compare(a.At, b.At), strings.Compare(a.By, b.By))
	})
	return all, err
}

func (v *votes) nominate(ctx context.Context, c *plugin.Call) (plugin.Reply, error) {
	link, title, _ := strings.Cut(c.Args, " ")
	one := nomination{By: c.User.Name, URL: link, Title: plugin.OneLine(title, maxName), At: c.Now().Unix()}
	switch {
	case link == "":
		return plugin.Reply{}, plugin.Usage("expected a link")
	case len(link) > maxLink || plugin.OneLine(link, maxLink) != link:
		return plugin.Reply{}, plugin.Usage("expected a link of at most %d bytes", maxLink)
	}
	// The plugin itself adds the winner, so it is what counts whether that may add it, and not whether the person may.
	item, err := v.self.CheckAdd(ctx, link)
	if err != nil {
		return plugin.Reply{}, told(err)
	}
	if item.ID != "" {
		one.Media = item.Type + ":" + item.ID
	}
	most := c.Settings().Int(maxNominations)
	count, err := v.addNomination(ctx, c.Channel, one, most)
	if err != nil {
		return plugin.Reply{}, err
	}
	return plugin.Text("%s nominates %s. %d of %d nominations.", one.By, one.name(), count, most), nil
}

// addNomination stores a nomination if it fits, and returns how many there are. Several at the same moment are counted
// one after the other.
func (v *votes) addNomination(
	ctx context.Context, c *plugin.Channel, one nomination, most int,
) (count int, err error) {
	select {
	case v.adding <- struct{}{}:
		defer func() { <-v.adding }()
	case <-ctx.Done():
		return 0, fmt.Errorf("waiting for other nominations: %w", context.Cause(ctx))
	}
	all, err := nominations(ctx, c)
	if err != nil {
		return 0, err
	}
	if err := one.fits(all, most); err != nil {
		return 0, plugin.UsageError(err)
	}
	created, err := c.KV().Create(ctx, key(one.By), one, plugin.Expires(nominationKept))
	switch {
	case err != nil:
		return 0, err
	case !created:
		return 0, plugin.Usage("you have nominated a film already: withdraw it first")
	}
	return len(all) + 1, nil
}

// fits returns why there cannot be one more nomination.
func (n nomination) fits(all []nomination, most int) error {
	for _, other := range all {
		switch {
		case strings.EqualFold(other.By, n.By):
			return fmt.Errorf("you have nominated %s already: withdraw it first", other.name())
		case other.URL == n.URL, n.Media != "" && other.Media == n.Media:
			return fmt.Errorf("%s has nominated this already", other.By)
		}
	}
	if len(all) >= most {
		return fmt.Errorf("%d films are nominated already", len(all))
	}
	return nil
}

func list(ctx context.Context, c *plugin.Call) (plugin.Reply, error) {
	all, err := nominations(ctx, c.Channel)
	if err != nil {
		return plugin.Reply{}, err
	}
	if len(all) == 0 {
		return plugin.Text("Nothing is nominated."), nil
	}
	var lines []string
	line := ""
	for i, one := range all {
		part := fmt.Sprintf("%d. %s", i+1, one.option())
		if joined := line + "; " + part; line != "" && plugin.Cut(joined, plugin.MaxLength) == joined {
			line = joined
			continue
		}
		if line != "" {
			lines = append(lines, line)
		}
		line = plugin.Cut(part, plugin.MaxLength)
	}
	lines = append(lines, line)
	if len(lines) > plugin.MaxLines {
		lines = append(lines[:plugin.MaxLines-1], fmt.Sprintf("… and more: %d in all", len(all)))
	}
	return plugin.Lines(lines...), nil
}

// option returns the nomination as an option of a poll.
func (n nomination) option() string { return n.name() + " – " + n.By }

func withdraw(ctx context.Context, c *plugin.Call) (plugin.Reply, error) {
	whose := strings.TrimPrefix(c.Args, "@")
	if whose == "" {
		whose = c.User.Name
	}
	if c.User.Rank < plugin.Moderator && !strings.EqualFold(whose, c.User.Name) {
		return plugin.Reply{}, plugin.Usage("only moderators withdraw nominations of others")
	}
	existed, err := c.KV().Delete(ctx, key(plugin.OneLine(whose, maxName)))
	switch {
	case err != nil:
		return plugin.Reply{}, err
	case !existed && strings.EqualFold(whose, c.User.Name):
		return plugin.Reply{}, plugin.Usage("you have nominated nothing")
	case !existed:
		return plugin.Reply{}, plugin.Usage("nobody of that name has nominated a film")
	}
	return plugin.Text("Withdrawn."), nil
}

func clearAll(ctx context.Context, c *plugin.Call) (plugin.Reply, error) {
	all, err := nominations(ctx, c.Channel)
	if err != nil {
		return plugin.Reply{}, err
	}
	for _, one := range all {
		if _, err := c.KV().Delete(ctx, key(one.By)); err != nil {
			return plugin.Reply{}, err
		}
	}
	return plugin.Text("Withdrawn: %d.", len(all)), nil
}
