package chaos

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"syscall"
	"time"

	"rosey.dev/rosey/runtime/backoff"
)

// Kinds returns the faults that can be injected into plain processes.
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
	if p.setup.Collector != nil {
		kinds = append(kinds, KillCollector, PauseCollector)
	}
	return kinds
}

func noRepair(context.Context) error { return nil }

// Inject injects a fault.
func (p *Processes) Inject(ctx context.Context, fault Fault) (target string, repair Repair, err error) {
	switch fault.Kind {
	case RestartCyTube:
		return "", noRepair, p.cytube.Restart(ctx, fault.Lasts.Milliseconds())
	case DropLeader:
		return "", noRepair, p.cytube.Drop(ctx, botName)
	case KillDatabase, PauseDatabase, CutDatabase, CutPostgres, RollDatabases:
		return p.injectDatabase(ctx, fault)
	case KillNATS, RestartNATS, PauseNATS, KillPostgres, RestartPG, PausePostgres, KillCollector, PauseCollector:
		return p.injectServer(ctx, fault)
	case RollBots:
		return "", noRepair, roll(ctx, p.bots)
	default:
		return p.injectBot(ctx, fault)
	}
}

func (p *Processes) injectDatabase(ctx context.Context, fault Fault) (target string, repair Repair, err error) {
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
		return m.name, func(context.Context) error { m.postgres.repair(); return nil }, nil
	default:
		return "", noRepair, roll(ctx, p.dbs)
	}
}

func (p *Processes) injectServer(ctx context.Context, fault Fault) (target string, repair Repair, err error) {
	switch fault.Kind {
	case KillNATS:
		return stopUntilRepair(ctx, p.nats, syscall.SIGKILL)
	case RestartNATS:
		return stopUntilRepair(ctx, p.nats, syscall.SIGTERM)
	case PauseNATS:
		return pause(p.nats)
	case KillPostgres:
		return stopUntilRepair(ctx, p.postgres, syscall.SIGKILL)
	case RestartPG:
		return stopUntilRepair(ctx, p.postgres, syscall.SIGINT) // fast shutdown, which does not wait for sessions
	case KillCollector:
		return stopUntilRepair(ctx, p.collector, syscall.SIGKILL)
	case PauseCollector:
		return pause(p.collector)
	default:
		return pause(p.postgres)
	}
}

func (p *Processes) injectBot(ctx context.Context, fault Fault) (target string, repair Repair, err error) {
	leader, standby, err := p.leader(ctx)
	if err != nil {
		return "", nil, err
	}
	switch fault.Kind {
	case KillLeader:
		return kill(leader.child)
	case LoseLeader:
		return stopUntilRepair(ctx, leader.child, syscall.SIGKILL)
	case PauseLeader, PauseLeaderLong:
		return pause(leader.child)
	case CutLeader, CutLeaderLong:
		return cut(leader)
	case LeaderLosesBus:
		leader.nats.cut()
		return leader.name, func(context.Context) error { leader.nats.repair(); return nil }, nil
	case KillStandby:
		return kill(standby.child)
	case PauseStandby:
		return pause(standby.child)
	case CutStandby:
		return cut(standby)
	default:
		return "", nil, fmt.Errorf("plain processes do not support the fault %q", fault.Kind)
	}
}

// leader returns the bot that logged in last, and another one, or nil if there is none.
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

func kill(c *child) (string, Repair, error) { return c.name, noRepair, c.signal(syscall.SIGKILL) }

func pause(c *child) (string, Repair, error) {
	return c.name, func(context.Context) error { return c.signal(syscall.SIGCONT) }, c.signal(syscall.SIGSTOP)
}

// stopUntilRepair stops a program until the fault ends.
func stopUntilRepair(ctx context.Context, c *child, signal os.Signal) (string, Repair, error) {
	return c.name, func(context.Context) error { c.up(); return nil }, c.down(ctx, signal)
}

func cut(m *member) (string, Repair, error) {
	proxies := slices.DeleteFunc([]*proxy{m.nats, m.cytube, m.postgres}, func(w *proxy) bool { return w == nil })
	for _, w := range proxies {
		w.cut()
	}
	return m.name, func(context.Context) error {
		for _, w := range proxies {
			w.repair()
		}
		return nil
	}, nil
}

// roll restarts one after the other, each when the previous one is ready.
func roll(ctx context.Context, members []*member) error {
	for _, m := range members {
		if err := m.down(ctx, syscall.SIGTERM); err != nil {
			return err
		}
		m.up()
		for m.ready(ctx) != nil {
			if !backoff.Sleep(ctx, 100*time.Millisecond) {
				return errors.Join(fmt.Errorf("waiting for %s", m.name), ctx.Err())
			}
		}
	}
	return nil
}
