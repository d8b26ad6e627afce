package controllers

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"rosey.dev/rosey/api/v1alpha1"
	"rosey.dev/rosey/controllers/manifests"
)

func quantity(text string) resource.Quantity { return resource.MustParse(text) }

func withClaim(bot *v1alpha1.RoseyBot, size, class string) *v1alpha1.RoseyBot {
	bot.Spec.Database = &v1alpha1.Database{
		SQLite: &v1alpha1.SQLite{Size: new(quantity(size)), StorageClassName: &class},
	}
	return bot
}

func TestClaimIsKeptAndReused(t *testing.T) {
	namespace := newNamespace(t)
	fast := namespace + "-fast"
	bot := withClaim(newBot(namespace), "2Gi", fast)
	createReady(t, bot)
	bindClaim(t, bot, fast, true)
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
	if after.UID != before.UID || size.String() != "2Gi" || *after.Spec.StorageClassName != fast {
		t.Errorf("claim %s of %s and class %s, want the one from before: %s of 2Gi and class fast",
			after.UID, size.String(), *after.Spec.StorageClassName, before.UID)
	}
	waitExpected(t, next,
		expected{v1alpha1.ConditionDatabaseAvailable, "True", "Available",
			"its claim has storage class " + fast + ", which cannot be changed; its claim has 2Gi, and a claim cannot shrink"})
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
	want := "PersistentVolumeClaim movienight-db: it cannot change from 1Gi to 2Gi: set database.sqlite.size back to 1Gi"
	if !strings.Contains(ready.Message, want) {
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
	change(t, bot, func() { bot.Spec.Database.SQLite.Size = new(quantity("1Gi")) })
	rollOut(t, bot)
	waitCondition(t, bot, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady)
}

// What never got a volume holds nothing: a mistyped class or size is taken back by writing the right one.
func TestClaimWithoutVolumeFollowsTheSpec(t *testing.T) {
	bot := withClaim(newBot(newNamespace(t)), "1Gi", "mistyped")
	create(t, bot)
	waitCondition(t, bot, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonProgressing)
	follows := func(what, size string, class *string, edit func(*v1alpha1.SQLite)) {
		t.Helper()
		before := getClaim(t, bot)
		change(t, bot, func() { edit(bot.Spec.Database.SQLite) })
		eventually(t, what, func(ctx context.Context) error {
			now, err := get(ctx, &corev1.PersistentVolumeClaim{}, bot.Namespace, "movienight-db")
			if err != nil {
				return err
			}
			if now.UID == before.UID && len(now.Finalizers) > 0 && now.DeletionTimestamp != nil {
				now.Finalizers = nil // as the volume controller does for a claim that no running pod uses
				return errors.Join(errors.New("it is being deleted"), rig.admin.Update(ctx, now))
			}
			has := now.Spec.Resources.Requests[corev1.ResourceStorage]
			if has.String() != size || !apiequality.Semantic.DeepEqual(now.Spec.StorageClassName, class) {
				return fmt.Errorf("%s of class %v", has.String(), now.Spec.StorageClassName)
			}
			return nil
		})
	}
	follows("another class", "1Gi", new("right"), func(s *v1alpha1.SQLite) { s.StorageClassName = new("right") })
	follows("no class", "1Gi", nil, func(s *v1alpha1.SQLite) { s.StorageClassName = nil })
	follows("a smaller size", "500Mi", nil, func(s *v1alpha1.SQLite) { s.Size = new(quantity("500Mi")) })
	waitReconciled(t, bot)
}

// A policy that changes the size of claims: what was created was not what the spec asks for, and was replaced again and
// again.
func TestClaimWhoseSizeAPolicyChangesIsNotReplaced(t *testing.T) {
	bot := newBot(newNamespace(t))
	mutate(t, bot.Namespace, "", "persistentvolumeclaims",
		`Object{spec: Object.spec{resources: Object.spec.resources{requests: {"storage": "10Gi"}}}}`)
	eventually(t, "the policy works", func(ctx context.Context) error {
		trial := &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Name: "probe", Namespace: bot.Namespace}}
		trial.Spec.AccessModes = []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce}
		trial.Spec.Resources.Requests = corev1.ResourceList{corev1.ResourceStorage: quantity("1Gi")}
		if err := rig.admin.Create(ctx, trial, client.DryRunAll); err != nil {
			return err
		}
		if size := trial.Spec.Resources.Requests[corev1.ResourceStorage]; size.String() != "10Gi" {
			return fmt.Errorf("the size is %s", size.String())
		}
		return nil
	})
	createReady(t, bot)
	waitReconciled(t, bot)
	before := getClaim(t, bot)
	change(t, bot, func() { bot.Spec.LogLevel = "debug" })
	rollOut(t, bot)
	waitReconciled(t, bot)
	if now := getClaim(t, bot); now.UID != before.UID || now.DeletionTimestamp != nil {
		t.Errorf("the claim was replaced: %+v", now.ObjectMeta)
	}
}

// A tool that restores a claim's files creates the claim with its annotations, which have the size of when the operator
// created it. It has no volume at first, and must not be replaced by an empty one.
func TestClaimThatIsRestoredAfterItHasGrownIsNotReplaced(t *testing.T) {
	bot := withClaim(newBot(newNamespace(t)), "3Gi", "fast")
	asked := map[string]string{"rosey.dev/asked-storage-class": "fast", "rosey.dev/asked-size": "1Gi"}
	keepsRestoredClaim(t, bot, asked, corev1.ReadWriteOnce, "fast")
}

// keepsRestoredClaim creates a claim of 3Gi as somebody restores it, without a volume, and then the RoseyBot. The
// operator must not replace the claim.
func keepsRestoredClaim(
	t *testing.T, bot *v1alpha1.RoseyBot, annotations map[string]string, mode corev1.PersistentVolumeAccessMode,
	class string,
) {
	t.Helper()
	restored := &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: bot.Namespace, Name: "movienight-db", Labels: operatorLabels(bot), Annotations: annotations,
		},
		Spec: corev1.PersistentVolumeClaimSpec{
			AccessModes:      []corev1.PersistentVolumeAccessMode{mode},
			StorageClassName: &class,
			Resources: corev1.VolumeResourceRequirements{
				Requests: corev1.ResourceList{corev1.ResourceStorage: quantity("3Gi")},
			},
		},
	}
	create(t, restored)
	createReady(t, bot)
	waitReconciled(t, bot)
	if now := getClaim(t, bot); now.UID != restored.UID || now.DeletionTimestamp != nil {
		t.Errorf("%+v, want the restored claim", now.ObjectMeta)
	}
}

// A claim that somebody restores from a snapshot has no volume at first. It must not be replaced by an empty one.
func TestClaimOfSomebodyElseIsNotReplaced(t *testing.T) {
	bot := withClaim(newBot(newNamespace(t)), "1Gi", "fast")
	keepsRestoredClaim(t, bot, nil, corev1.ReadWriteOncePod, "snapshots")
	waitExpected(t, bot, expected{v1alpha1.ConditionDatabaseAvailable, "True", "Available",
		"its claim has storage class snapshots, which cannot be changed; its claim has 3Gi, and a claim cannot shrink"})
}

// What is wrong with a claim that is used was said in mode NATS only, although the bot mounts it in mode Direct. What
// is left of another mode or database is not used, so nothing is said about it.
func TestNotesAboutTheClaimThatIsUsed(t *testing.T) {
	shares := func(bot *v1alpha1.RoseyBot) {
		bot.Spec.NATS, bot.Spec.Database = nil, &v1alpha1.Database{SharedFrom: &v1alpha1.ObjectRef{Name: "owner"}}
	}
	claim := &corev1.PersistentVolumeClaim{Spec: corev1.PersistentVolumeClaimSpec{
		AccessModes:      []corev1.PersistentVolumeAccessMode{corev1.ReadOnlyMany},
		StorageClassName: new("slow"),
		Resources: corev1.VolumeResourceRequirements{
			Requests: corev1.ResourceList{corev1.ResourceStorage: quantity("3Gi")},
		},
	}}
	claim.Kind, claim.Name = "PersistentVolumeClaim", "movienight-db"
	claim.Status.Conditions = []corev1.PersistentVolumeClaimCondition{{
		Type: corev1.PersistentVolumeClaimControllerResizeError, Status: corev1.ConditionTrue, Message: "no space left",
	}}
	for name, test := range map[string]struct {
		edit func(*v1alpha1.RoseyBot)
		want string
	}{
		"NATS":                  {func(*v1alpha1.RoseyBot) {}, "a pod of the database service is ready; "},
		"Direct":                {toDirect, "the bot has opened the database; "},
		"PostgreSQL":            {func(bot *v1alpha1.RoseyBot) { withPostgres(bot) }, ""},
		"Direct and PostgreSQL": {func(bot *v1alpha1.RoseyBot) { toDirect(withPostgres(bot)) }, ""},
		"shared":                {shares, ""},
	} {
		t.Run(name, func(t *testing.T) {
			bot := withClaim(newBot("somewhere"), "1Gi", "fast")
			test.edit(bot)
			in := statusInput{bot: bot, observed: newObserved()}
			in.observed.Objects[manifests.KeyOf(claim)] = claim
			in.observed.Owner = withClaim(newBot("somewhere"), "1Gi", "fast")
			for _, component := range manifests.Components(bot) {
				in.observed.pods[component] = []corev1.Pod{podOf(string(component), 1, runningPod("10.0.0.1", true))}
			}
			got := databaseCondition(in)
			for _, note := range []string{
				"has storage class slow, which cannot be changed", "has 3Gi, and a claim cannot shrink",
				"can only be read, expected the access mode ReadWriteOnce", "cannot be resized: no space left",
			} {
				if said := strings.Contains(got.Message, "its claim "+note); said != (test.want != "") {
					t.Errorf("it says %q: %v, in %q", note, said, got.Message)
				}
			}
			if !strings.HasPrefix(got.Message, test.want) {
				t.Errorf("the message is %q, want %q first", got.Message, test.want)
			}
		})
	}
}

// The labels of a claim are changed by mistake: nothing advises to delete the only copy of the rows, and the command in
// the message brings the claim back.
func TestClaimWithoutLabelsIsBroughtBack(t *testing.T) {
	bot := newBot(newNamespace(t))
	createReady(t, bot)
	claim := getClaim(t, bot)
	change(t, claim, func() { claim.Labels = nil })
	ready := waitCondition(t, bot, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonForeignObject)
	want := "to use it: kubectl label -n " + bot.Namespace + " pvc movienight-db --overwrite " +
		"app.kubernetes.io/managed-by=rosey-operator rosey.dev/roseybot=movienight;"
	if !strings.Contains(ready.Message, want) || strings.Contains(ready.Message, "delete") {
		t.Errorf("message is %q, want %q", ready.Message, want)
	}
	change(t, claim, func() { claim.Labels = operatorLabels(bot) })
	waitCondition(t, bot, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady)
	if now := getClaim(t, bot); now.UID != claim.UID {
		t.Errorf("the claim was replaced")
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
