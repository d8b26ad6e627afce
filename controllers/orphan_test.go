package controllers

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"rosey.dev/rosey/api/v1alpha1"
)

// orphan deletes a RoseyBot with --cascade=orphan, and acts as the garbage collector: it removes the owner references
// and the finalizer.
func orphan(t *testing.T, bot *v1alpha1.RoseyBot) map[string]types.UID {
	t.Helper()
	err := rig.admin.Delete(t.Context(), bot, client.PropagationPolicy(metav1.DeletePropagationOrphan))
	if err != nil {
		t.Fatal(err)
	}
	left := map[string]types.UID{}
	for _, kind := range kinds {
		list, _ := kind.list.DeepCopyObject().(client.ObjectList)
		if err := rig.admin.List(t.Context(), list, client.InNamespace(bot.Namespace)); err != nil {
			t.Fatal(err)
		}
		for key, found := range byKey(t, list) {
			if !metav1.IsControlledBy(found, bot) {
				continue
			}
			patch := client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"ownerReferences":null}}`))
			if err := rig.admin.Patch(t.Context(), found, patch); err != nil {
				t.Fatal(err)
			}
			left[key.String()] = found.GetUID()
		}
	}
	change(t, bot, func() { bot.Finalizers = nil })
	eventually(t, "the RoseyBot is gone", func(ctx context.Context) error {
		if _, err := get(ctx, &v1alpha1.RoseyBot{}, bot.Namespace, bot.Name); !apierrors.IsNotFound(err) {
			return fmt.Errorf("it still exists: %w", err)
		}
		return nil
	})
	return left
}

// After `kubectl delete --cascade=orphan`, a new RoseyBot of the same name takes back all objects, and no pod restarts.
func TestOrphansAreTakenBack(t *testing.T) {
	bot := newBot(newNamespace(t))
	createReady(t, bot)
	before, err := readPodInputs(t.Context(), bot)
	if err != nil {
		t.Fatal(err)
	}
	left := orphan(t, bot)
	next := newBot(bot.Namespace)
	create(t, next)
	for _, name := range []string{"movienight-bot", "movienight-db"} {
		eventually(t, name+" is taken back", func(ctx context.Context) error {
			now, err := get(ctx, &appsv1.Deployment{}, bot.Namespace, name)
			if err == nil && !metav1.IsControlledBy(now, next) {
				err = fmt.Errorf("its owners are %v", now.OwnerReferences)
			}
			return err
		})
	}
	rollOut(t, next)
	waitCondition(t, next, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady)
	for _, kind := range kinds {
		list, _ := kind.list.DeepCopyObject().(client.ObjectList)
		if err := rig.admin.List(t.Context(), list, client.InNamespace(bot.Namespace)); err != nil {
			t.Fatal(err)
		}
		for key, found := range byKey(t, list) {
			if uid, wasLeft := left[key.String()]; wasLeft && (found.GetUID() != uid || !metav1.IsControlledBy(found, next)) {
				t.Errorf("%s has UID %s and owners %v, want %s", key, found.GetUID(), found.GetOwnerReferences(), uid)
			}
		}
	}
	after, err := readPodInputs(t.Context(), next)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, after); diff != "" {
		t.Errorf("templates and configuration (-before +after):\n%s", diff)
	}
	waitReconciled(t, next)
}

// Objects that an earlier RoseyBot left and that the new one does not need are deleted: two services would run.
func TestOrphansThatAreNotNeededAreDeleted(t *testing.T) {
	bot := newBot(newNamespace(t))
	createReady(t, bot)
	orphan(t, bot)
	next := newBot(bot.Namespace)
	next.Spec.Mode, next.Spec.NATS = v1alpha1.ModeDirect, nil
	create(t, next)
	eventually(t, "the database service is gone", func(ctx context.Context) error {
		_, errDeployment := get(ctx, &appsv1.Deployment{}, bot.Namespace, "movienight-db")
		_, errService := get(ctx, &corev1.Service{}, bot.Namespace, "movienight-db")
		if !apierrors.IsNotFound(errDeployment) || !apierrors.IsNotFound(errService) {
			return fmt.Errorf("Deployment: %w", errors.Join(errDeployment, errService))
		}
		return nil
	})
}

// An object with the RoseyBot's labels that the operator has not written stays foreign, also without a controller; and
// so does what the operator wrote for a RoseyBot of another name.
func TestOnlyOwnOrphansAreTakenBack(t *testing.T) {
	bot := newBot(newNamespace(t))
	createReady(t, bot)
	foreign := map[string]map[string]string{
		"other-config": {}, // the labels of the RoseyBot, no hash
		"third-config": {desiredHashAnnotation: "0123456789abcdef"},
	}
	for name, annotations := range foreign {
		labels := operatorLabels(bot)
		labels["rosey.dev/roseybot"] = map[string]string{"other-config": "other", "third-config": bot.Name}[name]
		create(t, &corev1.ConfigMap{
			ObjectMeta: metav1.ObjectMeta{
				Namespace: bot.Namespace, Name: name, Labels: labels, Annotations: annotations,
				OwnerReferences: map[string][]metav1.OwnerReference{"third-config": foreignOwner()}[name],
			},
		})
	}
	for _, name := range []string{"other", "third"} {
		next := newBot(bot.Namespace)
		next.Name = name
		create(t, next)
		waitCondition(t, next, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonForeignObject)
	}
}
