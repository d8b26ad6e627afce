package controllers

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

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

// withBackups returns a RoseyBot with a claim for backups of a storage class.
func withBackups(bot *v1alpha1.RoseyBot, class string) *v1alpha1.RoseyBot {
	claim := &v1alpha1.BackupClaim{Size: new(quantity("2Gi")), StorageClassName: &class}
	bot.Spec.Database = &v1alpha1.Database{Backup: &v1alpha1.Backup{Claim: claim}}
	return bot
}

func getBackupClaim(t *testing.T, bot *v1alpha1.RoseyBot) *corev1.PersistentVolumeClaim {
	t.Helper()
	claim, err := get(t.Context(), &corev1.PersistentVolumeClaim{}, bot.Namespace, "movienight-backup")
	if err != nil {
		t.Fatal(err)
	}
	return claim
}

func setPhase(t *testing.T, claim *corev1.PersistentVolumeClaim, phase corev1.PersistentVolumeClaimPhase) {
	t.Helper()
	claim.Status.Phase = phase
	if err := rig.admin.Status().Update(t.Context(), claim); err != nil {
		t.Fatal(err)
	}
}

// The claim for backups follows the rules of the database's: it outlives the RoseyBot, is created again while it has no
// volume, keeps what cannot change, and the message names it.
func TestClaimForBackups(t *testing.T) {
	bot := withBackups(newBot(newNamespace(t)), "mistyped")
	create(t, bot)
	rollOut(t, bot)
	setPhase(t, getClaim(t, bot), corev1.ClaimBound)
	newPod(t, bot, manifests.Bot, runningPod("127.0.0.1", true))
	pod := newPod(t, bot, manifests.Database, unscheduledPod(`storageclass.storage.k8s.io "mistyped" not found`))
	first := getBackupClaim(t, bot)
	setPhase(t, first, corev1.ClaimPending)
	waitExpected(t, bot, expected{v1alpha1.ConditionDatabaseAvailable, "False", v1alpha1.ReasonClaimPending,
		"PersistentVolumeClaim movienight-backup is waiting for a volume: " +
			`storageclass.storage.k8s.io "mistyped" not found; ` +
			"while it has none, database.backup.claim.storageClassName and size can be changed"})
	if len(first.OwnerReferences) > 0 {
		t.Errorf("it has owners although it is retained: %v", first.OwnerReferences)
	}

	change(t, bot, func() { bot.Spec.Database.Backup.Claim.StorageClassName = new("right") })
	eventually(t, "a claim of the right class", func(ctx context.Context) error {
		now, err := get(ctx, &corev1.PersistentVolumeClaim{}, bot.Namespace, "movienight-backup")
		if err != nil {
			return err
		}
		if len(now.Finalizers) > 0 && now.DeletionTimestamp != nil {
			now.Finalizers = nil // as the volume controller does for a claim that no running pod uses
			return errors.Join(errors.New("it is being deleted"), rig.admin.Update(ctx, now))
		}
		if now.UID == first.UID || *now.Spec.StorageClassName != "right" {
			return fmt.Errorf("class %s", *now.Spec.StorageClassName)
		}
		return nil
	})
	claim := getBackupClaim(t, bot)
	claim.Spec.VolumeName = "volume"
	if err := rig.admin.Update(t.Context(), claim); err != nil {
		t.Fatal(err)
	}
	claim.Status.Capacity = claim.Spec.Resources.Requests
	setPhase(t, claim, corev1.ClaimBound)
	if err := rig.admin.Delete(t.Context(), pod, client.GracePeriodSeconds(0)); err != nil {
		t.Fatal(err)
	}
	newPod(t, bot, manifests.Database, runningPod("127.0.0.1", true))
	change(t, bot, func() { bot.Spec.Database.Backup.Claim.Size = new(quantity("1Gi")) })
	waitExpected(t, bot, expected{v1alpha1.ConditionDatabaseAvailable, "True", v1alpha1.ReasonAvailable,
		"its claim for backups has 2Gi, and a claim cannot shrink"})

	change(t, bot, func() { bot.Spec.Database.SQLite = &v1alpha1.SQLite{RetainPolicy: v1alpha1.DeleteClaim} })
	eventually(t, "the claim follows the policy", func(ctx context.Context) error {
		now, err := get(ctx, &corev1.PersistentVolumeClaim{}, bot.Namespace, "movienight-backup")
		if err == nil && !metav1.IsControlledBy(now, bot) {
			err = fmt.Errorf("owners %v", now.OwnerReferences)
		}
		return err
	})
	change(t, bot, func() { bot.Spec.Database.Backup = nil })
	waitReconciled(t, bot)
	if now := getBackupClaim(t, bot); now.UID != claim.UID || now.DeletionTimestamp != nil {
		t.Errorf("the backups are deleted when no more are asked for: %+v", now.ObjectMeta)
	}
}

// The claim that claimName names is somebody else's. Where it is absent or unbound the message names it and the field,
// and without it the database has its pod again.
func TestAbsentClaimForBackupsIsNamed(t *testing.T) {
	for name, message := range map[string]string{
		"absent":  `0/1 nodes are available: persistentvolumeclaim "payroll" not found.`,
		"unbound": "0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims.",
	} {
		t.Run(name, func(t *testing.T) {
			bot := newBot(newNamespace(t))
			bot.Spec.Database = &v1alpha1.Database{Backup: &v1alpha1.Backup{ClaimName: "payroll"}}
			create(t, bot)
			rollOut(t, bot)
			setPhase(t, getClaim(t, bot), corev1.ClaimBound)
			newPod(t, bot, manifests.Bot, runningPod("127.0.0.1", true))
			newPod(t, bot, manifests.Database, unscheduledPod(message))
			waitExpected(t, bot, expected{v1alpha1.ConditionDatabaseAvailable, "False", v1alpha1.ReasonClaimPending,
				"look at PersistentVolumeClaim payroll of database.backup.claimName, or name another one"})
			change(t, bot, func() { bot.Spec.Database.Backup.ClaimName = "" })
			eventually(t, "a template without the claim", func(ctx context.Context) error {
				now, err := get(ctx, &appsv1.Deployment{}, bot.Namespace, "movienight-db")
				if err != nil {
					return err
				}
				for _, volume := range now.Spec.Template.Spec.Volumes {
					if volume.PersistentVolumeClaim != nil && volume.PersistentVolumeClaim.ClaimName == "payroll" {
						return errors.New("it still mounts the claim")
					}
				}
				return nil
			})
		})
	}
}
