package controllers

import (
	"context"
	"fmt"
	"net/http"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"rosey.dev/rosey/api/v1alpha1"
)

// restartNamespace is not watched by the operator of the other tests.
const restartNamespace = "restart"

// An operator that is stopped while it creates the objects of many RoseyBots leaves some without. The next one creates
// those, and changes none that exist: their pods would restart. Another one finds nothing to write.
func TestRestartUnderLoadRestartsNoPod(t *testing.T) {
	newNamespace(t) // skips the test without an API server
	create(t, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: restartNamespace}})
	const count = 12
	deployments := func(ctx context.Context) ([]appsv1.Deployment, error) {
		list := &appsv1.DeploymentList{}
		err := rig.admin.List(ctx, list, client.InNamespace(restartNamespace))
		return list.Items, err
	}
	awaitDeployments := func(least int) {
		eventually(t, fmt.Sprint(least, " Deployments"), func(ctx context.Context) error {
			found, err := deployments(ctx)
			if err == nil && len(found) < least {
				err = fmt.Errorf("there are %d", len(found))
			}
			return err
		})
	}
	stop := runOperator(t, restartNamespace, func(*Reconciler) {})
	for number := range count {
		bot := newBot(restartNamespace)
		bot.Name = fmt.Sprint("bot-", number)
		create(t, bot)
	}
	awaitDeployments(1)
	stop()
	if found, err := deployments(t.Context()); err != nil || len(found) >= 2*count {
		t.Fatalf("there are %d Deployments already, want fewer than %d: %v", len(found), 2*count, err)
	}

	stop = runOperator(t, restartNamespace, func(*Reconciler) {})
	awaitDeployments(2 * count)
	awaitStatuses(t, count)
	stop()
	found, err := deployments(t.Context())
	for _, one := range found {
		if one.Generation != 1 {
			t.Errorf("Deployment %s has been changed: generation %d", one.Name, one.Generation)
		}
	}
	if err != nil || len(found) != 2*count {
		t.Errorf("there are %d Deployments, want %d: %v", len(found), 2*count, err)
	}

	before, reconciles := len(writes(t, restartNamespace)), &reconcileCounts{}
	stop = runOperator(t, restartNamespace, func(operator *Reconciler) {
		operator.Client = reconciles.client(operator.Client)
	})
	eventually(t, "every RoseyBot is reconciled twice", func(context.Context) error {
		for number := range count {
			name := fmt.Sprint("bot-", number)
			if got := reconciles.counter(restartNamespace, name).Load(); got < 2 {
				return fmt.Errorf("%s was reconciled %d times", name, got)
			}
		}
		return nil
	})
	stop()
	if sent := writes(t, restartNamespace)[before:]; len(sent) > 0 {
		t.Errorf("an operator that had nothing to change sent %v", sent)
	}
}

// awaitStatuses waits until all RoseyBots of restartNamespace have a status.
func awaitStatuses(t *testing.T, count int) {
	t.Helper()
	eventually(t, "all statuses", func(ctx context.Context) error {
		bots := &v1alpha1.RoseyBotList{}
		if err := rig.admin.List(ctx, bots, client.InNamespace(restartNamespace)); err != nil {
			return err
		}
		written := 0
		for i := range bots.Items {
			if bots.Items[i].Status.ObservedGeneration == bots.Items[i].Generation {
				written++
			}
		}
		if written < count {
			return fmt.Errorf("%d of %d", written, count)
		}
		return nil
	})
}

// writes returns what was sent to a namespace but for reads and events.
func writes(t *testing.T, namespace string) (found []call) {
	t.Helper()
	for _, one := range rig.requests.of(t, namespace) {
		if one.method != http.MethodGet {
			found = append(found, one)
		}
	}
	return found
}
