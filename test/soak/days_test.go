package soak_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	_ "time/tzdata" // Berlin, on machines without time zones

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/database"
	"rosey.dev/rosey/runtime/store"
	"rosey.dev/rosey/runtime/store/sqlite"
)

// slot is the time between two samples of the number of users.
const slot = 5 * time.Minute

// inBerlin makes a test run where clocks change in summer. No test may run in parallel.
func inBerlin(t *testing.T) {
	t.Helper()
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	local := time.Local                      //nolint:gosmopolitan // the zone of the process is what is tested
	time.Local = berlin                      //nolint:gosmopolitan // see above
	t.Cleanup(func() { time.Local = local }) //nolint:gosmopolitan // see above
}

// days is a database over some simulated days.
type days struct {
	t      *testing.T
	engine *database.Engine
	store  store.Store
	ids    *bus.IDs
	lines  []time.Time
}

var channel = store.Channel{Server: "https://cytu.be", Name: "movienight"}

// TestDays has a line and a sample every five minutes, over midnight and the change to summer time. The retention keeps
// what is newer, a backup is made every day, and a line that fails is tried again when its back-off ends.
func TestDays(t *testing.T) {
	inBerlin(t)
	number := number(t, "ROSEY_SOAK_DAYS", 3)
	synctest.Test(t, func(t *testing.T) {
		retention := store.Retention{Chat: 36 * time.Hour, UserCounts: 30 * time.Hour}
		backups := filepath.Join(t.TempDir(), "backups")
		// In the night of the second day clocks go from 02:00 to 03:00, at 01:00 UTC.
		begin := time.Date(2000, 3, 25, 12, 2, 0, 0, time.UTC)
		time.Sleep(time.Until(begin))
		d := &days{t: t, ids: bus.NewIDs(begin)}
		d.engine = database.NewEngine(database.EngineOptions{
			Channel: channel, Log: slog.New(slog.DiscardHandler), Retention: retention,
			Backup: database.BackupOptions{Directory: backups, Every: 24 * time.Hour, Keep: 2},
			Open: func(ctx context.Context) (store.Store, error) {
				var err error
				d.store, err = sqlite.Open(ctx, filepath.Join(t.TempDir(), "rosey.db"))
				return d.store, err
			},
		})
		if err := d.engine.Open(t.Context()); err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		var maintenance sync.WaitGroup
		maintenance.Go(func() { d.engine.Maintain(ctx) })
		for day := range number {
			for end := begin.AddDate(0, 0, day+1); time.Now().Before(end); {
				d.sayAndCount()
				time.Sleep(slot)
			}
			d.checkKept(retention)
			d.checkBackups(backups, day)
			d.checkBackOff()
		}
		stop()
		maintenance.Wait()
		if err := d.engine.Close(); err != nil {
			t.Error(err)
		}
	})
}

func (d *days) event(suffix bus.Suffix, payload any) {
	d.t.Helper()
	data, err := bus.Encode(payload)
	if err != nil {
		d.t.Fatal(err)
	}
	id := d.ids.Next(time.Now()) + "/" + string(suffix)
	message := bus.Message{Suffix: suffix, ID: id, Data: data, Time: time.Now()}
	if err := d.engine.Store(d.t.Context(), []bus.Message{message}); err != nil {
		d.t.Fatal(err)
	}
}

func (d *days) sayAndCount() {
	now := time.Now()
	origin := bus.Origin{Timestamp: bus.Seconds{Time: now}}
	d.event(bus.MessageLog, bus.MessagePayload{Username: "alice", Message: now.Format(time.DateTime), Origin: origin})
	d.event(bus.StatsUserCount, bus.UserCountPayload{ChatCount: len(d.lines), ConnectedCount: 1, Origin: origin})
	d.lines = append(d.lines, now)
}

// checkKept compares what is stored with what was said within the retention. The last maintenance was at most five
// minutes ago.
func (d *days) checkKept(retention store.Retention) {
	d.t.Helper()
	lines, err := d.store.RecentChat(d.t.Context(), channel, len(d.lines)+1)
	if err != nil {
		d.t.Fatal(err)
	}
	samples, err := d.store.UserCounts(d.t.Context(), channel, len(d.lines)+1)
	if err != nil {
		d.t.Fatal(err)
	}
	var chat, counts []time.Time
	for _, line := range lines {
		chat = append(chat, line.At)
	}
	for _, sample := range samples {
		counts = append(counts, sample.At)
	}
	d.checkTimes("lines", chat, retention.Chat)
	d.checkTimes("samples", counts, retention.UserCounts)
}

func (d *days) checkTimes(what string, stored []time.Time, retention time.Duration) {
	d.t.Helper()
	var least, most []time.Time
	for _, at := range d.lines {
		if age := time.Since(at); age <= retention {
			least, most = append(least, at), append(most, at)
		} else if age <= retention+slot {
			most = append(most, at)
		}
	}
	if len(stored) < len(least) || len(stored) > len(most) ||
		!slices.EqualFunc(stored, most[len(most)-len(stored):], time.Time.Equal) {
		d.t.Errorf("%s: %d %s are stored, expected the newest %d to %d of %d", time.Now(), len(stored), what, len(least),
			len(most), len(d.lines))
	}
}

// checkBackups expects a backup of every day, of which two are kept.
func (d *days) checkBackups(directory string, day int) {
	d.t.Helper()
	entries, err := os.ReadDir(directory)
	if err != nil {
		d.t.Fatal(err)
	}
	if want := min(day+1, 2); len(entries) != want {
		d.t.Errorf("%s: %d backups, expected %d", time.Now(), len(entries), want)
	}
	if age := time.Since(d.engine.LastBackup()); age < 0 || age > 24*time.Hour+2*slot {
		d.t.Errorf("%s: the last backup is %s old", time.Now(), age)
	}
}

func (d *days) request(suffix bus.Suffix, in, out any) {
	d.t.Helper()
	data, err := bus.Encode(in)
	if err != nil {
		d.t.Fatal(err)
	}
	reply, err := d.engine.Answer(d.t.Context(), database.Request{Suffix: suffix, Data: data, Time: time.Now()})
	if err != nil {
		d.t.Fatal(err)
	}
	if data, err = bus.Encode(reply); err == nil {
		err = json.Unmarshal(data, out)
	}
	if err != nil {
		d.t.Fatal(err)
	}
}

// checkBackOff reports a line as failed until it is abandoned: it is due again after 2, 4 and 8 minutes.
func (d *days) checkBackOff() {
	d.t.Helper()
	var put bus.OutboundPutReply
	d.request(bus.OutboundPut, bus.OutboundPutRequest{Message: "hello"}, &put)
	var tries []string
	for began := time.Now(); time.Since(began) < time.Hour; time.Sleep(time.Second) {
		var due []bus.OutboundMessage
		d.request(bus.OutboundGet, bus.OutboundGetRequest{MaxRetries: new(4), Claimant: "bot1"}, &due)
		for _, line := range due {
			tries = append(tries, time.Since(began).String())
			d.event(bus.OutboundFailed, bus.OutboundFailedPayload{MessageID: &line.ID, Error: "test",
				RetryCount: &line.RetryCount, Origin: bus.Origin{Timestamp: bus.Seconds{Time: time.Now()}}})
		}
	}
	if got, want := strings.Join(tries, " "), "0s 2m0s 6m0s 14m0s"; got != want {
		d.t.Errorf("%s: tried after %s, expected %s", time.Now(), got, want)
	}
}
