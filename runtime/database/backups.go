package database

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"rosey.dev/rosey/runtime/store"
)

// BackupOptions are where and how often an engine copies its database while it uses it. Without a directory or an
// interval it does not.
type BackupOptions struct {
	Directory string
	Every     time.Duration
	Keep      int
}

// Names of backups. Others in the directory are left alone.
const (
	backupPrefix = "rosey-"
	backupTime   = "20060102T150405Z" // UTC
	backupSuffix = ".db"
)

// backups makes backups. Only the goroutine of Engine.Maintain uses it, except for last.
type backups struct {
	BackupOptions

	last atomic.Pointer[time.Time] // nil: there is none
}

// LastBackup returns when the newest backup in the directory was made. Zero: there is none.
func (e *Engine) LastBackup() time.Time {
	if last := e.backups.last.Load(); last != nil {
		return *last
	}
	return time.Time{}
}

func (b *backups) enabled() bool { return b.Directory != "" && b.Every > 0 }

// backUpIfDue makes a backup if the newest one is older than the interval. One that fails is tried again at the next
// call.
func (e *Engine) backUpIfDue(ctx context.Context) {
	from, ok := e.store.(store.Backuper)
	if !ok || !e.backups.enabled() {
		return
	}
	now := time.Now().UTC()
	if age := now.Sub(e.LastBackup()); age >= 0 && age < e.backups.Every {
		return
	}
	size, err := e.backups.backUp(ctx, from, now)
	switch {
	case ctx.Err() != nil:
	case err != nil:
		e.metrics.backupRuns.WithLabelValues(maintenanceFailed).Inc()
		e.log.Error("[DB] the backup failed; trying again", "error", err)
	default:
		e.metrics.backupRuns.WithLabelValues(maintenanceDone).Inc()
		e.noteBackup(now)
		e.log.Info("[DB] backed up the database", "directory", e.backups.Directory, "bytes", size)
	}
}

// findBackups notes the newest backup of an earlier process.
func (e *Engine) findBackups() {
	if !e.backups.enabled() {
		return
	}
	e.metrics.backupInterval.Set(e.backups.Every.Seconds())
	made, err := e.backups.list()
	if err != nil {
		e.log.Warn("[DB] cannot list the backups", "error", err)
	}
	if len(made) > 0 {
		e.noteBackup(made[len(made)-1])
	}
}

func (e *Engine) noteBackup(at time.Time) {
	e.backups.last.Store(&at)
	e.metrics.backupTime.Set(float64(at.Unix()))
}

// backUp makes a backup, and removes the oldest.
func (b *backups) backUp(ctx context.Context, from store.Backuper, now time.Time) (size int64, err error) {
	if err := os.MkdirAll(b.Directory, 0o700); err != nil {
		return 0, fmt.Errorf("creating the directory for backups: %w", err)
	}
	if err := b.removeParts(); err != nil {
		return 0, err
	}
	if size, err = from.Backup(ctx, b.path(now)); err != nil {
		return 0, err
	}
	made, err := b.list()
	for len(made) > max(b.Keep, 1) && err == nil {
		err = os.Remove(b.path(made[0]))
		made = made[1:]
	}
	if err != nil {
		return size, fmt.Errorf("removing old backups: %w", err)
	}
	return size, nil
}

func (b *backups) path(made time.Time) string {
	return filepath.Join(b.Directory, backupPrefix+made.Format(backupTime)+backupSuffix)
}

// removeParts removes what a process has left that was killed while it made a backup.
func (b *backups) removeParts() error {
	parts, err := filepath.Glob(filepath.Join(b.Directory, backupPrefix+"*"+backupSuffix+".part-*"))
	for _, part := range parts {
		err = errors.Join(err, os.Remove(part))
	}
	if err != nil {
		return fmt.Errorf("removing incomplete backups: %w", err)
	}
	return nil
}

// list returns when the backups in the directory were made, oldest first.
func (b *backups) list() ([]time.Time, error) {
	entries, err := os.ReadDir(b.Directory)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("listing the backups: %w", err)
	}
	var made []time.Time
	for _, entry := range entries {
		text, isBackup := strings.CutPrefix(strings.TrimSuffix(entry.Name(), backupSuffix), backupPrefix)
		if at, err := time.Parse(backupTime, text); isBackup && err == nil && entry.Type().IsRegular() {
			made = append(made, at)
		}
	}
	slices.SortFunc(made, time.Time.Compare)
	return made, nil
}
