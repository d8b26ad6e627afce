package controllers

import (
	"context"
	"fmt"
	"testing"
	"time"

	"rosey.dev/rosey/api/v1alpha1"
	"rosey.dev/rosey/controllers/manifests"
	"rosey.dev/rosey/runtime/status"
)

// The status has the time of the newest backup that the pod of the database reports, and none of the future.
func TestTheNewestBackupIsInTheStatus(t *testing.T) {
	bot := newBot(newNamespace(t))
	bot.Spec.Database = &v1alpha1.Database{Backup: &v1alpha1.Backup{}}
	create(t, bot)
	rollOut(t, bot)
	joined := startProcess(t, healthyReport(status.BotComponent))
	newPod(t, bot, manifests.Bot, runningPod(joined.ip, true))
	made := time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)
	report := status.Report{Component: status.DatabaseComponent, Ready: true, Reason: status.ReasonReady, LastBackup: made}
	service := startProcess(t, report)
	newPod(t, bot, manifests.Database, runningPod(service.ip, true))
	eventually(t, "the time of the backup", func(ctx context.Context) error {
		live, err := get(ctx, &v1alpha1.RoseyBot{}, bot.Namespace, bot.Name)
		if err != nil {
			return err
		}
		if last := live.Status.LastBackupTime; last == nil || !last.Time.Equal(made.Truncate(time.Second)) {
			return fmt.Errorf("lastBackupTime is %v", last)
		}
		return nil
	})
}

// A pod is a stranger's image: what it claims is checked, and a RoseyBot without backups has no time of one.
func TestLastBackupIsChecked(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	pod := podOf("db", 1, runningPod("10.0.0.1", true))
	for name, test := range map[string]struct {
		backup   *v1alpha1.Backup
		reported time.Time
		want     time.Time
	}{
		"reported": {&v1alpha1.Backup{}, now.Add(-time.Hour), now.Add(-time.Hour)},
		"future":   {&v1alpha1.Backup{}, now.Add(time.Hour), time.Time{}},
		// In UTC, it is in the year -1.
		"no year":    {&v1alpha1.Backup{}, time.Date(0, 1, 1, 0, 0, 0, 0, time.FixedZone("", 23*3600)), time.Time{}},
		"none":       {&v1alpha1.Backup{}, time.Time{}, time.Time{}},
		"no backups": {nil, now.Add(-time.Hour), time.Time{}},
	} {
		t.Run(name, func(t *testing.T) {
			bot := newBot("fun")
			bot.Spec.Database = &v1alpha1.Database{Backup: test.backup}
			in := statusInput{bot: bot, observed: newObserved(), reports: map[string]probeResult{
				"db": {report: status.Report{LastBackup: test.reported}},
			}}
			in.observed.pods[manifests.Database] = append(in.observed.pods[manifests.Database], pod)
			got := lastBackup(in, now)
			if (got == nil) != test.want.IsZero() || got != nil && !got.Time.Equal(test.want) {
				t.Errorf("%v, want %v", got, test.want)
			}
		})
	}
}
