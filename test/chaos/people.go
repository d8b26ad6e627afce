package chaos

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"time"
)

// people chat at a steady rate, come and go. Nobody here knows of a fault; only while the CyTube server is down is
// nobody in its channel.
type people struct {
	cytube *CyTube
	random *rand.Rand
	names  []string
	inside map[string]bool
	// visitor is there once and never again; empty: none is there now.
	visitor         string
	visitors, lines int
	hushed          atomic.Bool
}

func newPeople(cytube *CyTube, seed uint64) *people {
	return &people{
		cytube: cytube,
		random: rand.New(rand.NewPCG(seed, 1)), //nolint:gosec // a replay needs the same numbers
		names:  []string{"alice", "Bob", "carol_7", "Dave-x", "erin", "Frank", "grace", "heidi"},
		inside: map[string]bool{},
	}
}

// run has one thing happen per pace until ctx ends. Then everybody leaves.
func (p *people) run(ctx context.Context, pace time.Duration) {
	ticker := time.NewTicker(pace)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			p.goHome(context.WithoutCancel(ctx))
			return
		case <-ticker.C:
		}
		if !p.hushed.Load() {
			p.act(ctx)
		}
	}
}

// act is mostly a line. A person who was thrown out, by a restart of the server, comes back with what they say next.
func (p *people) act(ctx context.Context) {
	name := p.names[p.random.IntN(len(p.names))]
	dice := p.random.IntN(100)
	switch {
	case dice >= 92:
		p.visit(ctx)
		return
	case !p.inside[name] && dice < 15:
		p.inside[name] = p.cytube.join(ctx, name) == nil
		return
	case p.inside[name] && dice < 3:
		p.inside[name] = p.cytube.leave(ctx, name) != nil
		return
	case !p.inside[name]:
		if name = p.anybody(); name == "" {
			return
		}
	}
	p.lines++
	text := fmt.Sprintf("line %d of %s", p.lines, name)
	if p.cytube.say(ctx, name, text) != nil {
		p.inside[name] = p.cytube.join(ctx, name) == nil
	}
}

// visit has somebody come who was never there, or leave for good: nobody who comes back could hide that we did not see
// them go.
func (p *people) visit(ctx context.Context) {
	if p.visitor != "" {
		_ = p.cytube.leave(ctx, p.visitor) // a restart of the server may have thrown them out
		p.visitor = ""
		return
	}
	p.visitors++
	name := fmt.Sprintf("visitor_%d", p.visitors)
	if p.cytube.join(ctx, name) == nil {
		p.visitor = name
	}
}

func (p *people) anybody() string {
	var inside []string
	for _, name := range p.names {
		if p.inside[name] {
			inside = append(inside, name)
		}
	}
	if len(inside) == 0 {
		return ""
	}
	return inside[p.random.IntN(len(inside))]
}

func (p *people) goHome(ctx context.Context) {
	if p.visitor != "" {
		p.visit(ctx)
	}
	for _, name := range p.names {
		if p.inside[name] {
			_ = p.cytube.leave(ctx, name) // somebody who was thrown out is not there to leave
		}
	}
}
