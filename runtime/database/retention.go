package database

import (
	"context"
	"fmt"
	"slices"
	"time"

	"rosey.dev/rosey/runtime/store"
)

// defaultRemovalGrace is how long rows stay after the announcement that more of them will be removed than a day brings:
// after the retention was shortened, in a database that was restored or moved, after the clock was set. Whoever made a
// mistake can set a longer retention until then.
const defaultRemovalGrace = 24 * time.Hour

// usualRemoval is how long ago the retention of rows may have ended that are removed without an announcement.
const usualRemoval = 24 * time.Hour

// announcedRemovals are the removals that wait. Only a maintenance run uses them.
type announcedRemovals struct {
	grace    time.Duration
	servedBy string
	stored   map[store.RowKind]store.Removal
	logged   map[store.RowKind]store.Removal // by this process
}

// readRemovals reads the announced removals of rules, and forgets those of kinds that are kept forever now: they must
// not count for a retention that is set later.
func (e *Engine) readRemovals(ctx context.Context, rules []store.PruneRule, servedBy string) error {
	removals, err := e.store.Removals(ctx, servedBy)
	if err != nil {
		return err
	}
	r := &e.maintenance.removals
	r.servedBy, r.stored = servedBy, map[store.RowKind]store.Removal{}
	for _, removal := range removals {
		r.stored[removal.Kind] = removal
		hasKind := func(rule store.PruneRule) bool { return rule.Kind == removal.Kind }
		if slices.ContainsFunc(rules, hasKind) {
			continue
		}
		if err := e.forgetRemoval(ctx, removal.Kind); err != nil {
			return err
		}
	}
	return nil
}

func (e *Engine) forgetRemoval(ctx context.Context, kind store.RowKind) error {
	r := &e.maintenance.removals
	if _, announced := r.stored[kind]; !announced {
		return nil
	}
	delete(r.stored, kind)
	delete(r.logged, kind)
	e.metrics.announced.WithLabelValues(string(kind)).Set(0)
	return e.store.ForgetRemoval(ctx, kind, r.servedBy)
}

// mayPrune reports whether rows that match a rule may be removed now. If they are more than a day brings, it announces
// the removal, and reports false until the grace has passed.
func (e *Engine) mayPrune(ctx context.Context, rule store.PruneRule, now time.Time) (bool, error) {
	if rule.Kind.RetentionKey() == "" {
		return true, nil
	}
	overdue := rule
	overdue.Before = rule.Before.Add(-usualRemoval)
	rows, err := e.store.Expired(ctx, overdue)
	if err != nil {
		return false, err
	}
	if rows == 0 {
		return true, e.forgetRemoval(ctx, rule.Kind)
	}
	r := &e.maintenance.removals
	kept := now.Sub(rule.Before)
	removal, announced := r.stored[rule.Kind]
	// One with a longer retention has not announced all of these rows, and one of the future had a wrong clock.
	if !announced || kept < removal.Kept || removal.AnnouncedAt.After(now) {
		removal = store.Removal{
			Kind: rule.Kind, ServedBy: rule.ServedBy, Kept: kept, AnnouncedAt: now.UTC().Truncate(time.Millisecond),
		}
		if err := e.store.AnnounceRemoval(ctx, removal); err != nil {
			return false, err
		}
		r.stored[rule.Kind] = removal
	}
	end := removal.AnnouncedAt.Add(r.grace)
	if !now.Before(end) {
		e.metrics.announced.WithLabelValues(string(rule.Kind)).Set(0)
		return true, nil // it is forgotten when the rows are gone: the run may be interrupted
	}
	return false, e.logRemoval(ctx, rule, removal, end)
}

// logRemoval logs what will be removed, once for each announcement.
func (e *Engine) logRemoval(ctx context.Context, rule store.PruneRule, removal store.Removal, end time.Time) error {
	r := &e.maintenance.removals
	if r.logged[rule.Kind] == removal {
		return nil
	}
	rows, err := e.store.Expired(ctx, rule)
	if err != nil {
		return err
	}
	r.logged[rule.Kind] = removal
	e.metrics.announced.WithLabelValues(string(rule.Kind)).Set(float64(rows))
	e.log.WarnContext(ctx, fmt.Sprintf("[DB] %d %s are older than %s, which is %s, and will be removed from %s on: to "+
		"keep them, set it to forever or to a longer time before", rows, rule.Kind.Plural(), rule.Kind.RetentionKey(),
		store.FormatRetention(removal.Kept), end.UTC().Format(time.RFC3339)))
	return nil
}
