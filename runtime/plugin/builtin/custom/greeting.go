package custom

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"strings"
	"time"

	"rosey.dev/rosey/runtime/plugin"
)

const (
	// greetedKeys are followed by the number of one of greetedParts parts, over which the names are spread. Each is one
	// key: a person who comes under many names cannot fill the storage of the plugin.
	greetedKeys  = "greetings/"
	greetedParts = 32
	// maxGreeted is how many names a part remembers, and maxNameBytes how long they are. Whoever was greeted first is
	// forgotten first.
	maxGreeted, maxNameBytes = 60, 80
)

// greeted is a part of those who were greeted: when, in Unix seconds, by the name in lower case.
type greeted map[string]int64

var errGreeted = errors.New("greeted before")

// greet greets who comes, once in a while.
func greet(ctx context.Context, e *plugin.Event) error {
	var greeting string
	if _, err := e.KV().Get(ctx, greetingKey, &greeting); err != nil || greeting == "" {
		return err
	}
	name := strings.ToLower(e.User.Name)
	if name == "" || len(name) > maxNameBytes || e.IsIgnored {
		return nil
	}
	again := e.Settings().Duration(greetAgain)
	_, err := plugin.Update(ctx, e.KV(), greetedKey(name), func(before greeted) (greeted, error) {
		return before.with(name, e.Now(), again)
	}, plugin.Expires(again))
	if errors.Is(err, errGreeted) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("noting who was greeted: %w", err)
	}
	return e.Say(ctx, fill(greeting, e.User.Name, "")...)
}

func greetedKey(name string) string {
	hash := fnv.New32a()
	_, _ = hash.Write([]byte(name)) // it never fails
	return fmt.Sprintf("%s%02d", greetedKeys, hash.Sum32()%greetedParts)
}

// with returns those who were greeted with one more name, or errGreeted if it is among them.
func (g greeted) with(name string, now time.Time, again time.Duration) (greeted, error) {
	after := greeted{}
	for other, at := range g {
		if now.Sub(time.Unix(at, 0)) < again {
			after[other] = at
		}
	}
	if _, before := after[name]; before {
		return nil, errGreeted
	}
	if len(after) >= maxGreeted {
		after.forgetFirst()
	}
	after[name] = now.Unix()
	return after, nil
}

func (g greeted) forgetFirst() {
	first := ""
	for name, at := range g {
		if first == "" || at < g[first] {
			first = name
		}
	}
	delete(g, first)
}
