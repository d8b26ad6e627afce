package trivia

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"rosey.dev/rosey/runtime/plugin"
)

const (
	scoreKeys = "score/"
	// maxScores is how many people's scores are kept: a guest may have another name each day. Of more, the one with the
	// fewest points goes.
	maxScores = 1000
	// maxName bounds a name in a key, in UTF-16 code units. CyTube has at most 20.
	maxName = 30
)

// score is what somebody has earned in all rounds, as it is stored.
type score struct {
	Name   string `json:"name"`
	Points int64  `json:"points"`
	Right  int64  `json:"right"` // answers
	Won    int64  `json:"won"`   // rounds with others
}

// award is what is to be added to a score.
type award struct {
	name               string
	points, right, won int64
}

func scoreKey(name string) string { return scoreKeys + strings.ToLower(plugin.Cut(name, maxName)) }

// store adds an award to the score of a person.
func (a award) store(ctx context.Context, c *plugin.Channel) error {
	isNew := false
	_, err := plugin.Update(ctx, c.KV(), scoreKey(a.name), func(before score) (score, error) {
		isNew = before.Name == ""
		return score{
			Name: a.name, Points: before.Points + a.points, Right: before.Right + a.right, Won: before.Won + a.won,
		}, nil
	})
	if err != nil || !isNew {
		return err
	}
	all, err := scores(ctx, c)
	if err != nil || len(all) <= maxScores {
		return err
	}
	others := slices.DeleteFunc(all, func(one score) bool { return one.Name == a.name })
	_, err = c.KV().Delete(ctx, scoreKey(others[len(others)-1].Name))
	return err
}

// scores returns all scores, the most points first.
func scores(ctx context.Context, c *plugin.Channel) (all []score, err error) {
	stored, err := plugin.All[score](ctx, c.KV(), scoreKeys)
	for _, one := range stored {
		all = append(all, one.Value)
	}
	slices.SortStableFunc(all, func(a, b score) int { return cmp.Compare(b.Points, a.Points) })
	return all, err
}

// tellScore tells the score of a person.
func tellScore(ctx context.Context, c *plugin.Call, name string) (plugin.Reply, error) {
	name = strings.TrimPrefix(name, "@")
	if name == "" {
		name = c.User.Name
	}
	all, err := scores(ctx, c.Channel)
	if err != nil {
		return plugin.Reply{}, err
	}
	at := slices.IndexFunc(all, func(one score) bool { return strings.EqualFold(one.Name, name) })
	switch {
	case at < 0 && strings.EqualFold(name, c.User.Name):
		return plugin.Text("%s has no points yet.", c.User.Name), nil
	case at < 0:
		return plugin.Text("Nobody of that name has points yet."), nil
	}
	one := all[at]
	return plugin.Text("%s: %d points, %d right answers, %d rounds won, number %d of %d", one.Name, one.Points, one.Right,
		one.Won, at+1, len(all)), nil
}

// listed is how many people tellTop names.
const listed = 10

// tellTop tells who has the most points.
func tellTop(ctx context.Context, c *plugin.Call) (plugin.Reply, error) {
	all, err := scores(ctx, c.Channel)
	if err != nil {
		return plugin.Reply{}, err
	}
	if len(all) == 0 {
		return plugin.Text("Nobody has points yet."), nil
	}
	var parts []string
	for i, one := range all[:min(len(all), listed)] {
		parts = append(parts, fmt.Sprintf("%d. %s %d", i+1, one.Name, one.Points))
	}
	return plugin.Text("%s", plugin.Cut("🏆 "+strings.Join(parts, ", "), plugin.MaxLength)), nil
}
