package chaos

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"github.com/nats-io/nats.go"

	"rosey.dev/rosey/runtime/bus"
)

// storageTrials returns the causes of alerts about a limit and about backups.
func (p *Processes) storageTrials(client *nats.Conn) []trial {
	keys := func(suffix bus.Suffix) func(context.Context) error {
		return func(ctx context.Context) error {
			for i := range 9 { // of ten that are allowed
				payload := fmt.Sprintf(`{"plugin_name":"test","key":"%d","value":1}`, i)
				if err := ask(ctx, client, suffix, payload); err != nil {
					return err
				}
			}
			return ask(ctx, client, bus.MaintenanceRun, `{}`) // which measures
		}
	}
	return []trial{
		{ofProcess("RoseyLimitNear", "db1", "channel"), keys(bus.KVSet), keys(bus.KVDelete)},
		{
			ofProcess("RoseyBackupStale", "db1", "platform"),
			// A file is where the directory should be.
			p.restartingDatabase(func(backups string) error { return os.WriteFile(backups, nil, 0o600) }),
			p.restartingDatabase(func(string) error { return nil }),
		},
	}
}

// restartingDatabase returns a function that removes the backups, makes a change in their place and restarts the
// service.
func (p *Processes) restartingDatabase(change func(backups string) error) func(context.Context) error {
	return func(ctx context.Context) error {
		if err := p.dbs[0].down(ctx, syscall.SIGTERM); err != nil {
			return err
		}
		defer p.dbs[0].up()
		return errors.Join(os.RemoveAll(p.path("backups")), change(p.path("backups")))
	}
}

// ask sends a request, and returns an error unless the reply says that it succeeded.
func ask(ctx context.Context, client *nats.Conn, suffix bus.Suffix, payload string) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	reply, err := client.RequestWithContext(ctx, prefix+"."+string(suffix), []byte(payload))
	if err != nil {
		return fmt.Errorf("requesting %s: %w", suffix, err)
	}
	var answer struct{ Success bool }
	if err := json.Unmarshal(reply.Data, &answer); err != nil || !answer.Success {
		return fmt.Errorf("the reply to %s is %s: %w", suffix, reply.Data, err)
	}
	return nil
}
