package database

import (
	"context"
	"fmt"
	"time"

	"rosey.dev/rosey/runtime/store"
)

// acquire opens the store if need be and keeps it open until release.
func (d *Direct) acquire(ctx context.Context) (store.Store, error) {
	select {
	case d.changing <- struct{}{}:
		defer func() { <-d.changing }()
	case <-ctx.Done():
		return nil, fmt.Errorf("waiting for the database to be opened: %w", ctx.Err())
	}
	if opened := d.use(nil); opened != nil {
		return opened, nil
	}
	opened, err := d.core.open(ctx)
	if err != nil {
		return nil, err
	}
	return d.use(opened), nil
}

// use counts a user of the store, of one that was just opened if there is none.
func (d *Direct) use(opened store.Store) store.Store {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.opened == nil {
		d.opened = opened
	}
	if d.opened != nil {
		d.users++
	}
	return d.opened
}

func (d *Direct) release() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.users--
	d.used = time.Now()
}

func (d *Direct) isIdle() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.opened != nil && d.users == 0 && time.Since(d.used) > d.idle
}

// close closes the store unless somebody uses it.
func (d *Direct) close() error {
	d.changing <- struct{}{}
	defer func() { <-d.changing }()
	d.mu.Lock()
	opened := d.opened
	if opened == nil || d.users > 0 {
		d.mu.Unlock()
		return nil
	}
	d.opened = nil
	d.mu.Unlock()
	if err := opened.Close(); err != nil {
		return err
	}
	d.core.log.Info("[DB] database closed")
	return nil
}
