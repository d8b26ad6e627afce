package chaos

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"time"
)

// people simulates users who chat at a steady rate, join and leave. They do not depend on faults, except that they
// pause while the CyTube server is down.
type people struct {
	cytube *CyTube
	random *rand.Rand
	names  []string
	inside map[string]bool
	// visitor is the name of a user who joins only once; empty if none is in the channel.
	visitor         string
	visitors, lines int
	paused          atomic.Bool
}

// Chat makes people chat, join and leave until ctx ends, one action per pace. Then all of them leave. The seed
// determines what they do.
func (c *CyTube) Chat(ctx context.Context, seed uint64, pace time.Duration) {
	newPeople(c, seed).run(ctx, pace)
}

func newPeople(cytube *CyTube, seed uint64) *people {
	return &people{
		cytube: cytube,
		random: rand.New(rand.NewPCG(seed, 1)), //nolint:gosec // a replay needs the same numbers
		names:  []string{"alice", "Bob", "carol_7", "Dave-x", "erin", "Frank", "grace", "heidi"},
		inside: map[string]bool{},
	}
}

// run does one action per pace until ctx ends. Then all users leave.
func (p *people) run(ctx context.Context, pace time.Duration) {
	ticker := time.NewTicker(pace)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			p.leaveAll(context.WithoutCancel(ctx))
			return
		case <-ticker.C:
		}
		if !p.paused.Load() {
			p.act(ctx)
		}
	}
}

// act mostly says a line. A user whom a restart of the server has disconnected joins again when their next line fails.
func (p *people) act(ctx context.Context) {
	name := p.names[p.random.IntN(len(p.names))]
	dice := p.random.IntN(100)
	switch {
	case dice >= 92:
		p.visit(ctx)
		return
	case !p.inside[name] && dice < 15:
		p.inside[name] = p.cytube.Join(ctx, name) == nil
		return
	case p.inside[name] && dice < 3:
		p.inside[name] = p.cytube.Leave(ctx, name) != nil
		return
	case !p.inside[name]:
		if name = p.anybody(); name == "" {
			return
		}
	}
	p.lines++
	text := fmt.Sprintf("line %d of %s", p.lines, name)
	if p.cytube.Say(ctx, name, text) != nil {
		p.inside[name] = p.cytube.Join(ctx, name) == nil
	}
}

// visit lets a new user join, or leave for good. Since they never come back, a bot that missed their leave cannot learn
// of it later.
func (p *people) visit(ctx context.Context) {
	if p.visitor != "" {
		_ = p.cytube.Leave(ctx, p.visitor) // a restart of the server may have disconnected them
		p.visitor = ""
		return
	}
	p.visitors++
	name := fmt.Sprintf("visitor_%d", p.visitors)
	if p.cytube.Join(ctx, name) == nil {
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

func (p *people) leaveAll(ctx context.Context) {
	if p.visitor != "" {
		p.visit(ctx)
	}
	for _, name := range p.names {
		if p.inside[name] {
			_ = p.cytube.Leave(ctx, name) // fails for a user who was disconnected
		}
	}
}
