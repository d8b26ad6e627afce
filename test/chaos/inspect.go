package chaos

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
)

// Process is a bot or a database service as it is now.
type Process struct {
	// Name is "bot1", "db1" and so on.
	Name string
	// HTTP is the address of its status and metrics, host:port.
	HTTP string
	// PID is 0 while it is not running.
	PID int
	// Starts is how often it was started. More than once: it has exited.
	Starts int
}

// List returns the database services and the bots.
func (p *Processes) List() (all []Process) {
	for _, m := range append(append([]*member(nil), p.dbs...), p.bots...) {
		all = append(all, m.process())
	}
	return all
}

func (m *member) process() Process {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := Process{Name: m.name, HTTP: m.http, Starts: m.starts}
	if m.child.process != nil {
		now.PID = m.child.process.Pid
	}
	return now
}

// Disk returns the bytes that the rows and the stream take.
func (p *Processes) Disk() (rows, stream int64, err error) {
	if p.setup.Postgres {
		rows, err = diskUsage(filepath.Join(p.postgresDir, "data", "base"))
	} else {
		rows, err = diskUsage(p.data(), "rosey.db", "rosey.db-wal", "rosey.db-shm")
	}
	if err != nil || !p.setup.JetStream {
		return rows, 0, err
	}
	stream, err = diskUsage(p.path("nats"))
	return rows, stream, err
}

// diskUsage adds the sizes of all files in a folder and below, or of those named. A file may vanish meanwhile.
func diskUsage(folder string, only ...string) (sum int64, err error) {
	wanted := map[string]bool{}
	for _, name := range only {
		wanted[name] = true
	}
	err = filepath.WalkDir(folder, func(_ string, entry fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil
		case err != nil:
			return err
		case entry.IsDir(), len(only) > 0 && !wanted[entry.Name()]:
			return nil
		}
		info, err := entry.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err == nil {
			sum += info.Size()
		}
		return err //nolint:wrapcheck // below
	})
	if err != nil {
		return 0, fmt.Errorf("measuring %s: %w", folder, err)
	}
	return sum, nil
}
