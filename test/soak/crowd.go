package soak

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"rosey.dev/rosey/runtime/backoff"
	"rosey.dev/rosey/test/chaos"
)

const (
	// linePace is the time between two lines: a bot and its database keep up with it on a machine with one core.
	linePace = 2 * time.Millisecond
	// together is how many people are in the channel at a time.
	together = 200
)

// crowd are people of whom each joins once, says some lines and leaves.
type crowd struct {
	cytube       *chaos.CyTube
	random       *rand.Rand
	lines, names int
	joined       int
	inside       []string
	said         atomic.Int64
}

func newCrowd(cytube *chaos.CyTube, o Options) *crowd {
	random := rand.New(rand.NewPCG(o.Seed, 1)) //nolint:gosec // a replay needs the same numbers
	return &crowd{cytube: cytube, random: random, lines: o.Lines, names: o.Names}
}

// chat says all lines. It returns an error if the server refuses one.
func (c *crowd) chat(ctx context.Context) error {
	ticker := time.NewTicker(linePace)
	defer ticker.Stop()
	for line := range c.lines {
		if err := c.arrive(ctx, line); err != nil {
			return err
		}
		text := fmt.Sprintf("line %d & %d", line, c.random.IntN(1000))
		if err := c.cytube.Say(ctx, c.inside[c.random.IntN(len(c.inside))], text); err != nil {
			return err
		}
		c.said.Add(1)
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return fmt.Errorf("after %d lines: %w", line+1, ctx.Err())
		}
	}
	return c.leave(ctx, 0)
}

// arrive lets those join who are due before a line: people come as evenly as lines.
func (c *crowd) arrive(ctx context.Context, line int) error {
	for c.joined < c.names && c.joined*c.lines <= line*c.names {
		name := fmt.Sprintf("person_%d", c.joined)
		if err := c.cytube.Join(ctx, name); err != nil {
			return err
		}
		c.joined++
		c.inside = append(c.inside, name)
	}
	return c.leave(ctx, together)
}

// leave lets those leave who came first, until the rest is in the channel.
func (c *crowd) leave(ctx context.Context, rest int) error {
	for len(c.inside) > rest {
		if err := c.cytube.Leave(ctx, c.inside[0]); err != nil {
			return err
		}
		c.inside = c.inside[1:]
	}
	return nil
}

// wait waits until that many lines have been said, or ctx ends.
func (c *crowd) wait(ctx context.Context, lines int) {
	for c.said.Load() < int64(lines) && backoff.Sleep(ctx, 20*time.Millisecond) {
	}
}
