package chaos

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"syscall"
	"time"
)

// Kinds are all that plain processes can suffer.
func (p *Processes) Kinds() []Kind {
	kinds := []Kind{
		KillLeader, LoseLeader, PauseLeader, CutLeader, LeaderLosesBus, DropLeader, RollBots,
		KillDatabase, PauseDatabase, CutDatabase, RollDatabases,
		KillNATS, RestartNATS, PauseNATS, RestartCyTube,
	}
	if p.setup.Bots > 1 {
		kinds = append(kinds, KillStandby, PauseStandby, CutStandby, PauseLeaderLong, CutLeaderLong)
	}
	if p.setup.Postgres {
		kinds = append(kinds, KillPostgres, RestartPG, PausePostgres, CutPostgres)
	}
	return kinds
}

func nothingToMend(context.Context) error { return nil }

// Break makes a fault.
func (p *Processes) Break(ctx context.Context, fault Fault) (target string, mend Mend, err error) {
	switch fault.Kind {
	case RestartCyTube:
		return "", nothingToMend, p.cytube.Restart(ctx, fault.Lasts.Milliseconds())
	case DropLeader:
		return "", nothingToMend, p.cytube.Drop(ctx, botName)
	case KillDatabase, PauseDatabase, CutDatabase, CutPostgres, RollDatabases:
		return p.breakDatabase(ctx, fault)
	case KillNATS, RestartNATS, PauseNATS, KillPostgres, RestartPG, PausePostgres:
		return p.breakServer(ctx, fault)
	case RollBots:
		return "", nothingToMend, roll(ctx, p.bots)
	default:
		return p.breakBot(ctx, fault)
	}
}

func (p *Processes) breakDatabase(ctx context.Context, fault Fault) (target string, mend Mend, err error) {
	m := pick(p.dbs, fault.Pick)
	switch fault.Kind {
	case KillDatabase:
		return kill(m.child)
	case PauseDatabase:
		return pause(m.child)
	case CutDatabase:
		return cut(m)
	case CutPostgres:
		m.postgres.cut()
		return m.name, func(context.Context) error { m.postgres.mend(); return nil }, nil
	default:
		return "", nothingToMend, roll(ctx, p.dbs)
	}
}

func (p *Processes) breakServer(ctx context.Context, fault Fault) (target string, mend Mend, err error) {
	switch fault.Kind {
	case KillNATS:
		return hold(ctx, p.nats, syscall.SIGKILL)
	case RestartNATS:
		return hold(ctx, p.nats, syscall.SIGTERM)
	case PauseNATS:
		return pause(p.nats)
	case KillPostgres:
		return hold(ctx, p.postgres, syscall.SIGKILL)
	case RestartPG:
		return hold(ctx, p.postgres, syscall.SIGINT) // without waiting for sessions, as a pod's end does
	default:
		return pause(p.postgres)
	}
}

func (p *Processes) breakBot(ctx context.Context, fault Fault) (target string, mend Mend, err error) {
	leader, standby, err := p.leader(ctx)
	if err != nil {
		return "", nil, err
	}
	switch fault.Kind {
	case KillLeader:
		return kill(leader.child)
	case LoseLeader:
		return hold(ctx, leader.child, syscall.SIGKILL)
	case PauseLeader, PauseLeaderLong:
		return pause(leader.child)
	case CutLeader, CutLeaderLong:
		return cut(leader)
	case LeaderLosesBus:
		leader.nats.cut()
		return leader.name, func(context.Context) error { leader.nats.mend(); return nil }, nil
	case KillStandby:
		return kill(standby.child)
	case PauseStandby:
		return pause(standby.child)
	case CutStandby:
		return cut(standby)
	default:
		return "", nil, fmt.Errorf("%s cannot happen to plain processes", fault.Kind)
	}
}

// leader is the bot that logged in last, and another.
func (p *Processes) leader(ctx context.Context) (leader, standby *member, err error) {
	address, err := p.cytube.Leader(ctx, botName)
	if err != nil {
		return nil, nil, err
	}
	for _, m := range p.bots {
		if m.address == address {
			leader = m
		} else {
			standby = m
		}
	}
	if leader == nil {
		return nil, nil, fmt.Errorf("no bot has the address %q that logged in last", address)
	}
	return leader, standby, nil
}

func pick(members []*member, number int) *member { return members[number%len(members)] }

func kill(c *child) (string, Mend, error) { return c.name, nothingToMend, c.signal(syscall.SIGKILL) }

func pause(c *child) (string, Mend, error) {
	return c.name, func(context.Context) error { return c.signal(syscall.SIGCONT) }, c.signal(syscall.SIGSTOP)
}

// hold ends a program until it is mended.
func hold(ctx context.Context, c *child, signal os.Signal) (string, Mend, error) {
	return c.name, func(context.Context) error { c.up(); return nil }, c.down(ctx, signal)
}

func cut(m *member) (string, Mend, error) {
	wires := slices.DeleteFunc([]*wire{m.nats, m.cytube, m.postgres}, func(w *wire) bool { return w == nil })
	for _, w := range wires {
		w.cut()
	}
	return m.name, func(context.Context) error {
		for _, w := range wires {
			w.mend()
		}
		return nil
	}, nil
}

// roll replaces one after the other, each when the one before is ready.
func roll(ctx context.Context, members []*member) error {
	for _, m := range members {
		if err := m.down(ctx, syscall.SIGTERM); err != nil {
			return err
		}
		m.up()
		for m.ready(ctx) != nil {
			if !wait(ctx, 100*time.Millisecond) {
				return errors.Join(fmt.Errorf("waiting for %s", m.name), ctx.Err())
			}
		}
	}
	return nil
}
