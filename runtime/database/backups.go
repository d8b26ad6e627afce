package database

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync/atomic"
	"time"

	"rosey.dev/rosey/runtime/backoff"
	"rosey.dev/rosey/runtime/platform"
	"rosey.dev/rosey/runtime/store"
)

// BackupOptions are where and how often an engine copies its database while it uses it. Without a directory or an
// interval it does not.
type BackupOptions struct {
	Directory string
	Every     time.Duration
	Keep      int
}

// backups makes backups. Only the goroutine of Engine.Maintain uses it, except for last.
type backups struct {
	BackupOptions

	id    string // of the database, "" while it is not known
	pause backoff.Backoff
	retry time.Time                 // no attempt before
	last  atomic.Pointer[time.Time] // nil: there is none
}

// LastBackup returns when the newest backup in the directory was made. Zero: there is none.
func (e *Engine) LastBackup() time.Time {
	if last := e.backups.last.Load(); last != nil {
		return *last
	}
	return time.Time{}
}

func (b *backups) enabled() bool { return b.Directory != "" && b.Every > 0 }

// maxBackupPause is the longest pause after backups that failed: each may have copied many gigabytes.
const maxBackupPause = time.Hour

// backUpIfDue makes a backup if the newest one is older than the interval. One that fails is tried again at a later
// call.
func (e *Engine) backUpIfDue(ctx context.Context) {
	from, ok := e.store.(store.Backuper)
	if !ok || !e.backups.enabled() {
		return
	}
	now := time.Now().UTC()
	if e.backups.id == "" {
		e.findBackups(ctx)
	}
	if age := now.Sub(e.LastBackup()); age >= 0 && age < e.backups.Every || now.Before(e.backups.retry) {
		return
	}
	size, err := e.backUp(ctx, from, now)
	switch {
	case ctx.Err() != nil:
		return
	case err != nil:
		e.metrics.backupRuns.WithLabelValues(maintenanceFailed).Inc()
		e.log.ErrorContext(ctx, "[DB] the backup failed; trying again", "error", err)
		if !errors.Is(err, errNoSpace) { // without space nothing was copied
			e.backups.retry = now.Add(e.backups.pause.Next())
		}
		return
	}
	e.backups.pause.Reset()
	e.metrics.backupRuns.WithLabelValues(maintenanceDone).Inc()
	e.noteBackup(now)
	e.log.InfoContext(ctx, "[DB] backed up the database", "directory", e.backups.Directory, "bytes", size)
	if err := e.backups.removeOldest(e.backups.Keep); err != nil {
		e.log.WarnContext(ctx, "[DB] cannot remove old backups", "error", err)
	}
}

// backUp makes a backup if there is room for it.
func (e *Engine) backUp(ctx context.Context, from store.Backuper, now time.Time) (size int64, err error) {
	if e.backups.id == "" {
		return 0, errors.New("the ID of the database is not known")
	}
	needed, err := e.store.Size(ctx)
	if err != nil {
		return 0, fmt.Errorf("reading the size of the database: %w", err)
	}
	if err := e.backups.makeRoom(needed); err != nil {
		return 0, err
	}
	return from.Backup(ctx, e.backups.path(now))
}

// findBackups notes the newest backup of an earlier process that can be restored.
func (e *Engine) findBackups(ctx context.Context) {
	from, ok := e.store.(store.Backuper)
	if !ok || !e.backups.enabled() {
		return
	}
	e.metrics.backupInterval.Set(e.backups.Every.Seconds())
	id, err := e.store.Identity(ctx)
	if err != nil {
		e.log.WarnContext(ctx, "[DB] cannot read the ID of the database for its backups", "error", err)
		return
	}
	e.backups.id = BackupID(id)
	made, err := e.backups.made()
	if err != nil {
		e.log.WarnContext(ctx, "[DB] cannot list the backups", "error", err)
	}
	for _, newest := range slices.Backward(made) {
		err := from.CheckBackup(ctx, newest.Path)
		if err == nil {
			e.noteBackup(newest.Made)
			return
		}
		e.log.WarnContext(ctx, "[DB] a backup cannot be restored", "file", newest.Path, "error", err)
	}
}

func (e *Engine) noteBackup(at time.Time) {
	e.backups.last.Store(&at)
	e.metrics.backupTime.Set(float64(at.Unix()))
}

// reserve is the space in bytes that a backup leaves free: its directory may be on the volume of the database.
const reserve = 32 << 20

// makeRoom prepares the directory for a backup of some bytes. If that does not fit beside as many as are kept, the
// oldest one is removed before.
func (b *backups) makeRoom(needed int64) error {
	if err := makeDirectory(b.Directory); err != nil {
		return fmt.Errorf("creating the directory for backups: %w", err)
	}
	err := errors.Join(b.removeParts(), b.checkSpace(needed))
	if errors.Is(err, errNoSpace) && b.Keep > 1 {
		err = errors.Join(b.removeOldest(b.Keep-1), b.checkSpace(needed))
	}
	return err
}

var errNoSpace = errors.New("no space for a backup")

func (b *backups) checkSpace(needed int64) error {
	free, err := platform.FreeSpace(b.Directory)
	if err != nil {
		return err
	}
	expected := uint64(max(needed, 0)) + reserve
	if free < expected {
		return fmt.Errorf("%w: %d bytes are free in %s, expected %d", errNoSpace, free, b.Directory, expected)
	}
	return nil
}

// removeOldest removes all but the newest backups.
func (b *backups) removeOldest(keep int) error {
	made, err := b.made()
	for len(made) > max(keep, 1) && err == nil {
		err = os.Remove(made[0].Path)
		made = made[1:]
	}
	if err != nil {
		return fmt.Errorf("removing old backups: %w", err)
	}
	return nil
}
