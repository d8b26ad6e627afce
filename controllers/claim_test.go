package controllers

import (
	"context"
	"fmt"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"rosey.dev/rosey/api/v1alpha1"
)

func quantity(text string) resource.Quantity { return resource.MustParse(text) }

func withClaim(bot *v1alpha1.RoseyBot, size, class string) *v1alpha1.RoseyBot {
	bot.Spec.Database = &v1alpha1.Database{
		SQLite: &v1alpha1.SQLite{Size: new(quantity(size)), StorageClassName: &class},
	}
	return bot
}

func TestClaimIsKeptAndReused(t *testing.T) {
	bot := withClaim(newBot(newNamespace(t)), "2Gi", "fast")
	createReady(t, bot)
	before := getClaim(t, bot)
	if len(before.OwnerReferences) > 0 {
		t.Fatalf("the claim has owners: %v", before.OwnerReferences)
	}
	if err := rig.admin.Delete(t.Context(), bot); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the RoseyBot is gone", func(ctx context.Context) error {
		_, err := get(ctx, &v1alpha1.RoseyBot{}, bot.Namespace, bot.Name)
		if apierrors.IsNotFound(err) {
			return nil
		}
		return fmt.Errorf("it still exists: %w", err)
	})

	// The next RoseyBot is created before the garbage collector has deleted the objects of the first one.
	next := withClaim(newBot(bot.Namespace), "1Gi", "slow")
	create(t, next)
	waiting := waitCondition(t, next, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonProgressing)
	want := "ServiceAccount movienight-rosey is being deleted; it will be created again afterwards"
	if waiting.Message != want {
		t.Errorf("message is %q, want %q", waiting.Message, want)
	}
	collectGarbage(t, bot)
	rollOut(t, next)
	waitCondition(t, next, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady)

	after := getClaim(t, next)
	size := after.Spec.Resources.Requests[corev1.ResourceStorage]
	if after.UID != before.UID || size.String() != "2Gi" || *after.Spec.StorageClassName != "fast" {
		t.Errorf("claim %s of %s and class %s, want the one from before: %s of 2Gi and class fast",
			after.UID, size.String(), *after.Spec.StorageClassName, before.UID)
	}
	waitExpected(t, next,
		expected{v1alpha1.ConditionDatabaseAvailable, "True", "Available", "its claim has storage class fast"})
	waitReconciled(t, next)
}

// collectGarbage acts as the garbage collector: it deletes the objects of a deleted RoseyBot.
func collectGarbage(t *testing.T, bot *v1alpha1.RoseyBot) {
	t.Helper()
	for _, kind := range kinds {
		list, _ := kind.list.DeepCopyObject().(client.ObjectList)
		if err := rig.admin.List(t.Context(), list, client.InNamespace(bot.Namespace)); err != nil {
			t.Fatal(err)
		}
		for _, found := range byKey(t, list) {
			if !metav1.IsControlledBy(found, bot) {
				continue
			}
			if err := rig.admin.Delete(t.Context(), found); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// bindClaim acts as the volume controller: it binds the claim to a volume of a storage class.
func bindClaim(t *testing.T, bot *v1alpha1.RoseyBot, class string, expandable bool) {
	t.Helper()
	create(t, &storagev1.StorageClass{
		ObjectMeta:           metav1.ObjectMeta{Name: class},
		Provisioner:          "example.com/disk",
		AllowVolumeExpansion: &expandable,
	})
	claim := getClaim(t, bot)
	claim.Spec.VolumeName = "volume"
	if err := rig.admin.Update(t.Context(), claim); err != nil {
		t.Fatal(err)
	}
	claim.Status.Phase = corev1.ClaimBound
	claim.Status.Capacity = claim.Spec.Resources.Requests
	if err := rig.admin.Status().Update(t.Context(), claim); err != nil {
		t.Fatal(err)
	}
}

func TestClaimIsExpanded(t *testing.T) {
	namespace := newNamespace(t)
	bot := withClaim(newBot(namespace), "1Gi", namespace+"-expands")
	createReady(t, bot)
	bindClaim(t, bot, namespace+"-expands", true)
	change(t, bot, func() { bot.Spec.Database.SQLite.Size = new(quantity("2Gi")) })
	eventually(t, "the claim asks for 2Gi", func(ctx context.Context) error {
		now, err := get(ctx, &corev1.PersistentVolumeClaim{}, bot.Namespace, "movienight-db")
		if err != nil {
			return err
		}
		if size := now.Spec.Resources.Requests[corev1.ResourceStorage]; size.String() != "2Gi" {
			return fmt.Errorf("it asks for %s", size.String())
		}
		return nil
	})
	rollOut(t, bot)
	waitCondition(t, bot, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady)
}

// The garbage collector deletes objects that have an owner, so the policy decides whether the claim has an owner
// reference.
func TestRetainPolicySetsOwnerOfClaim(t *testing.T) {
	bot := newBot(newNamespace(t))
	createReady(t, bot)
	claim := getClaim(t, bot)
	for _, policy := range []v1alpha1.RetainPolicy{v1alpha1.DeleteClaim, v1alpha1.RetainClaim, v1alpha1.DeleteClaim} {
		change(t, bot, func() {
			bot.Spec.Database = &v1alpha1.Database{SQLite: &v1alpha1.SQLite{RetainPolicy: policy}}
		})
		eventually(t, "the claim follows "+string(policy), func(ctx context.Context) error {
			now, err := get(ctx, &corev1.PersistentVolumeClaim{}, bot.Namespace, "movienight-db")
			if err != nil {
				return err
			}
			owned := metav1.IsControlledBy(now, bot)
			if owned != (policy == v1alpha1.DeleteClaim) || len(now.OwnerReferences) > 1 || now.UID != claim.UID {
				return fmt.Errorf("claim %s has owners %v", now.UID, now.OwnerReferences)
			}
			return nil
		})
		rollOut(t, bot)
		waitCondition(t, bot, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady)
		waitReconciled(t, bot)
	}
}

// If the storage class does not allow expansion, the status says so, and other changes are applied.
func TestClaimThatCannotBeExpandedIsReported(t *testing.T) {
	namespace := newNamespace(t)
	bot := withClaim(newBot(namespace), "1Gi", namespace+"-fixed")
	createReady(t, bot)
	bindClaim(t, bot, namespace+"-fixed", false)
	change(t, bot, func() {
		bot.Spec.Database.SQLite.Size = new(quantity("2Gi"))
		bot.Spec.Image = "rosey.example/rosey:newer"
	})
	ready := waitCondition(t, bot, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonWriteFailed)
	if !strings.Contains(ready.Message, "PersistentVolumeClaim movienight-db: applying:") {
		t.Errorf("message is %q", ready.Message)
	}
	waitCondition(t, bot, v1alpha1.ConditionDatabaseAvailable, metav1.ConditionTrue, v1alpha1.ReasonAvailable)
	deployment, err := get(t.Context(), &appsv1.Deployment{}, bot.Namespace, "movienight-db")
	if err != nil {
		t.Fatal(err)
	}
	if image := deployment.Spec.Template.Spec.Containers[0].Image; image != "rosey.example/rosey:newer" {
		t.Errorf("the Deployment has image %s: the change was not applied", image)
	}
}

func getClaim(t *testing.T, bot *v1alpha1.RoseyBot) *corev1.PersistentVolumeClaim {
	t.Helper()
	claim, err := get(t.Context(), &corev1.PersistentVolumeClaim{}, bot.Namespace, "movienight-db")
	if err != nil {
		t.Fatal(err)
	}
	return claim
}
