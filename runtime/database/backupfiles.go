package database

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Names of backups are rosey-ID-TIME.db, with the beginning of the database's ID, since several databases may have the
// same directory. Other files in it are left alone.
const (
	backupID   = 8                  // characters
	backupTime = "20060102T150405Z" // UTC
)

var backupName = regexp.MustCompile(`^rosey-([0-9a-f]{8})-(\d{8}T\d{6}Z)\.db$`)

// BackupFile is a backup that a service has made.
type BackupFile struct {
	Path string
	// Database is the BackupID of the database of which it is a copy.
	Database string
	Made     time.Time
	Size     int64 // in bytes
}

// BackupID returns the part of a database's ID that is in the names of its backups.
func BackupID(id string) string { return id[:min(len(id), backupID)] }

// ListBackups returns the backups of all databases in a directory, oldest first: after the loss of a database another
// one has its place, with another ID. A directory that is absent has none. Whether a file is whole is not known.
func ListBackups(directory string) ([]BackupFile, error) {
	entries, err := os.ReadDir(directory)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("listing the backups: %w", err)
	}
	var files []BackupFile
	for _, entry := range entries {
		name := backupName.FindStringSubmatch(entry.Name())
		if name == nil || !entry.Type().IsRegular() {
			continue
		}
		made, err := time.Parse(backupTime, name[2])
		if err != nil {
			continue // no time, so no backup
		}
		info, err := entry.Info()
		if err != nil {
			continue // it was removed meanwhile
		}
		files = append(files, BackupFile{
			Path: filepath.Join(directory, entry.Name()), Database: name[1], Made: made, Size: info.Size(),
		})
	}
	slices.SortStableFunc(files, func(a, b BackupFile) int { return a.Made.Compare(b.Made) })
	return files, nil
}

// made returns the backups of the database, oldest first. One of the future is none: the clock was wrong when it was
// made, or somebody else made it, and it would count as the newest for ever.
func (b *backups) made() ([]BackupFile, error) {
	files, err := ListBackups(b.Directory)
	return slices.DeleteFunc(files, func(file BackupFile) bool {
		return file.Database != b.id || time.Until(file.Made) >= time.Minute
	}), err
}

func (b *backups) path(made time.Time) string {
	return filepath.Join(b.Directory, "rosey-"+b.id+"-"+made.Format(backupTime)+".db")
}

// makeDirectory creates the directory for backups unless there is one. It is for its owner alone; on the volume of a
// pod with fsGroup for that group too, because the pod's user may be another one after a restart.
func makeDirectory(directory string) error {
	if _, err := os.Stat(directory); err == nil {
		return nil
	}
	if err := os.MkdirAll(directory, 0o700); err != nil {
		return err //nolint:wrapcheck // it names the directory
	}
	parent, err := os.Stat(filepath.Dir(directory))
	if err != nil || parent.Mode()&os.ModeSetgid == 0 || parent.Mode().Perm()&0o020 == 0 {
		return err //nolint:wrapcheck // as above
	}
	return os.Chmod(directory, 0o770|os.ModeSetgid) //nolint:wrapcheck // as above
}

// removeParts removes what a process has left that was killed while it made a backup.
func (b *backups) removeParts() error {
	entries, err := os.ReadDir(b.Directory) // not Glob, for which [ in the name of the directory is special
	for _, entry := range entries {
		name := entry.Name()
		if strings.HasPrefix(name, "rosey-"+b.id+"-") && strings.Contains(name, ".db.part-") {
			err = errors.Join(err, os.Remove(filepath.Join(b.Directory, name)))
		}
	}
	if err != nil {
		return fmt.Errorf("removing incomplete backups: %w", err)
	}
	return nil
}
