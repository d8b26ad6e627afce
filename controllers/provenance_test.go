package controllers

import (
	"context"
	"fmt"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"rosey.dev/rosey/api/v1alpha1"
	"rosey.dev/rosey/runtime/config"
)

// waitProvenance waits until the database service is told that its database comes from there.
func waitProvenance(t *testing.T, bot *v1alpha1.RoseyBot, want config.Provenance) {
	t.Helper()
	eventually(t, "the provenance of the database", func(ctx context.Context) error {
		file, err := get(ctx, &corev1.ConfigMap{}, bot.Namespace, bot.Name+"-channels")
		if err != nil {
			return err
		}
		got, err := config.ParseProvenance([]byte(file.Data[config.ProvenanceFile]))
		if err == nil && (!got.PVCCreated.Equal(want.PVCCreated) || got.OnlyPVC != want.OnlyPVC ||
			got.NamespaceUID != want.NamespaceUID || got.TakeOver != want.TakeOver) {
			err = fmt.Errorf("%+v, want %+v", got, want)
		}
		return err
	})
}

// deleteClaim deletes a claim that no pod uses, as the volume controller does.
func deleteClaim(t *testing.T, claim *corev1.PersistentVolumeClaim) {
	t.Helper()
	change(t, claim, func() { claim.Finalizers = nil })
	if err := rig.admin.Delete(t.Context(), claim); err != nil {
		t.Fatal(err)
	}
}

// What a service has to know to take over a stream reaches it without a restart.
func TestServiceIsToldWhereItsDatabaseComesFrom(t *testing.T) {
	bot := newBot(newNamespace(t))
	createReady(t, bot)
	namespace, err := get(t.Context(), &corev1.Namespace{}, "", bot.Namespace)
	if err != nil {
		t.Fatal(err)
	}
	first := getClaim(t, bot)
	provenance := config.Provenance{
		NamespaceUID: string(namespace.UID), PVCCreated: first.CreationTimestamp.Time, OnlyPVC: true,
	}
	waitProvenance(t, bot, provenance)
	template := func() string {
		deployment, err := get(t.Context(), &appsv1.Deployment{}, bot.Namespace, "movienight-db")
		if err != nil {
			t.Fatal(err)
		}
		return deployment.Spec.Template.String()
	}
	before := template()

	const id = "01234567-89ab-cdef-0123-456789abcdef"
	change(t, bot, func() { bot.Annotations = map[string]string{v1alpha1.TakeOverAnnotation: id + "+replay"} })
	provenance.TakeOver = id + "+replay"
	waitProvenance(t, bot, provenance)

	backups := getClaim(t, bot) // copies of rows are no rows
	backups.Name, backups.ResourceVersion, backups.UID = "movienight-backup", "", ""
	create(t, backups)
	other := getClaim(t, bot)
	other.Name, other.ResourceVersion, other.UID = "movienight-restored", "", ""
	create(t, other)
	provenance.OnlyPVC = false
	waitProvenance(t, bot, provenance)
	deleteClaim(t, other)

	// Times have seconds.
	eventually(t, "another second", func(context.Context) error {
		if time.Since(first.CreationTimestamp.Time) < time.Second {
			return fmt.Errorf("%s", first.CreationTimestamp)
		}
		return nil
	})
	deleteClaim(t, first)
	eventually(t, "a new claim", func(ctx context.Context) error {
		now, err := get(ctx, &corev1.PersistentVolumeClaim{}, bot.Namespace, "movienight-db")
		if err == nil && now.UID == first.UID {
			err = fmt.Errorf("it is the old one")
		}
		return err
	})
	provenance.OnlyPVC, provenance.PVCCreated = true, getClaim(t, bot).CreationTimestamp.Time
	waitProvenance(t, bot, provenance)
	if template() != before {
		t.Error("the pods of the database service are restarted")
	}

	change(t, bot, func() { withPostgres(bot) })
	waitProvenance(t, bot, config.Provenance{NamespaceUID: string(namespace.UID), TakeOver: provenance.TakeOver})
}
