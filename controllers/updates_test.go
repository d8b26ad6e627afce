package controllers

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"rosey.dev/rosey/api/v1alpha1"
	"rosey.dev/rosey/controllers/manifests"
	"rosey.dev/rosey/test/apiservertest"
)

// Namespaces that the operator of the other tests does not watch.
const (
	turnsNamespace = "update-turns"
	haltNamespace  = "update-halt"
	illNamespace   = "update-ill"
	flapNamespace  = "update-flap"

	stayingNamespace  = "update-staying"
	refusingNamespace = "update-refusing"
	momentNamespace   = "update-moment"
)

// tenantNamespaces are the namespaces of tenants of one operator.
var tenantNamespaces = []string{"update-tenant-a", "update-tenant-b", "update-tenant-c"}

// createAutomatic creates ready RoseyBots with updatePolicy Automatic in a namespace of an operator of its own.
func createAutomatic(t *testing.T, namespace string, names ...string) (bots []*v1alpha1.RoseyBot) {
	t.Helper()
	if missing := apiservertest.Missing(); missing != "" {
		t.Skip(missing)
	}
	t.Parallel()
	create(t, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}})
	stop := runOperator(t, namespace, func(*Reconciler) {})
	defer stop()
	for _, name := range names {
		bot := newBot(namespace)
		bot.Name, bot.Spec.UpdatePolicy = name, v1alpha1.UpdateAutomatic
		createReady(t, bot)
		bots = append(bots, bot)
	}
	return bots
}

// updated returns the names of the RoseyBots that have what the newer operator builds.
func updated(ctx context.Context, bots []*v1alpha1.RoseyBot) (names []string, err error) {
	for _, bot := range bots {
		now, getErr := get(ctx, &appsv1.Deployment{}, bot.Namespace, manifests.Name(bot, manifests.Bot))
		err = errors.Join(err, getErr)
		if now.Spec.Template.Spec.Containers != nil && now.Spec.Template.Spec.Containers[0].Image != testImage {
			names = append(names, bot.Name)
		}
	}
	return names, err
}

// awaitTurn waits until as many RoseyBots are updated and all others wait, and returns which have not been updated
// before.
func awaitTurn(
	t *testing.T, bots []*v1alpha1.RoseyBot, count int, before []string,
) (next *v1alpha1.RoseyBot, all []string) {
	t.Helper()
	eventually(t, fmt.Sprintf("%d are updated and the others wait", count), func(ctx context.Context) (err error) {
		if all, err = updated(ctx, bots); err != nil || len(all) != count {
			return fmt.Errorf("updated are %v: %w", all, err)
		}
		for _, bot := range bots {
			if slices.Contains(all, bot.Name) {
				continue
			}
			now, err := get(ctx, &v1alpha1.RoseyBot{}, bot.Namespace, bot.Name)
			if err != nil {
				return err
			}
			waiting := meta.FindStatusCondition(now.Status.Conditions, v1alpha1.ConditionUpdateAvailable)
			if waiting.Reason != v1alpha1.ReasonUpdateWaits || !meta.IsStatusConditionTrue(now.Status.Conditions, "Ready") {
				return errors.New(describe(now))
			}
		}
		return nil
	})
	for _, bot := range bots {
		if slices.Contains(all, bot.Name) && !slices.Contains(before, bot.Name) {
			next = bot
		}
	}
	return next, all
}

func oneAtATime(deadline time.Duration) func(*Reconciler) {
	return func(operator *Reconciler) {
		makeNewer(operator)
		operator.SetAutomaticUpdates(AutomaticUpdates{MaxConcurrent: 1, Deadline: deadline})
	}
}

// After an upgrade of the operator one RoseyBot changes after the other, each when the one before is ready again; and
// an operator that is restarted goes on there.
func TestAutomaticUpdatesTakeTurns(t *testing.T) {
	bots := createAutomatic(t, turnsNamespace, "one", "two", "three")
	stop := runOperator(t, turnsNamespace, oneAtATime(time.Hour))
	defer func() { stop() }()
	var done []string
	for count := 1; count <= len(bots); count++ {
		next, all := awaitTurn(t, bots, count, done)
		waitCondition(t, next, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonProgressing)
		stop()
		stop = runOperator(t, turnsNamespace, oneAtATime(time.Hour))
		awaitTurn(t, bots, count, done)
		rollOut(t, next)
		waitCondition(t, next, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady)
		done = all
	}
}

// A RoseyBot that was ready before its update and is not within the deadline halts the others, until it is mended.
func TestAFailedUpdateHaltsTheOthers(t *testing.T) {
	bots := createAutomatic(t, haltNamespace, "one", "two", "three")
	stop := runOperator(t, haltNamespace, oneAtATime(time.Second))
	defer func() { stop() }()
	failed, done := awaitTurn(t, bots, 1, nil)
	waitCondition(t, failed, v1alpha1.ConditionUpdateAvailable, metav1.ConditionFalse, v1alpha1.ReasonUpdateFailed)
	stop()
	stop = runOperator(t, haltNamespace, oneAtATime(time.Second))
	waitCondition(t, failed, v1alpha1.ConditionUpdateAvailable, metav1.ConditionFalse, v1alpha1.ReasonUpdateFailed)
	for _, bot := range bots {
		if bot == failed {
			continue
		}
		eventually(t, bot.Name+" says why it waits", func(ctx context.Context) error {
			now, err := get(ctx, &v1alpha1.RoseyBot{}, bot.Namespace, bot.Name)
			if err != nil {
				return err
			}
			waiting := meta.FindStatusCondition(now.Status.Conditions, v1alpha1.ConditionUpdateAvailable)
			if !strings.Contains(waiting.Message, "because RoseyBot "+failed.Name+" was ready before its update") {
				return errors.New(waiting.Message)
			}
			return nil
		})
	}
	awaitTurn(t, bots, 1, nil)
	rollOut(t, failed) // it has become ready after all
	awaitTurn(t, bots, 2, done)
}

// A RoseyBot that was ill before its update does not halt the others.
func TestAnUpdateOfAnIllRoseyBotDoesNotHaltTheOthers(t *testing.T) {
	bots := createAutomatic(t, illNamespace, "ill")
	pods := &corev1.PodList{}
	if err := rig.admin.List(t.Context(), pods, client.InNamespace(illNamespace)); err != nil {
		t.Fatal(err)
	}
	stop := runOperator(t, illNamespace, func(*Reconciler) {})
	for i := range pods.Items {
		setPodStatus(t, &pods.Items[i], corev1.PodStatus{Phase: corev1.PodPending})
	}
	eventually(t, "it is ill", func(ctx context.Context) error {
		now, err := get(ctx, &v1alpha1.RoseyBot{}, illNamespace, "ill")
		if err == nil && !meta.IsStatusConditionFalse(now.Status.Conditions, v1alpha1.ConditionReady) {
			err = errors.New(describe(now))
		}
		return err
	})
	well := newBot(illNamespace)
	well.Name, well.Spec.UpdatePolicy = "well", v1alpha1.UpdateAutomatic
	createReady(t, well)
	stop()
	stop = runOperator(t, illNamespace, oneAtATime(time.Second))
	defer func() { stop() }()
	eventually(t, "both are updated", func(ctx context.Context) error {
		names, err := updated(ctx, append(bots, well))
		if len(names) == 1 && names[0] == "well" {
			rollOut(t, well)
		}
		if err == nil && len(names) < 2 {
			err = fmt.Errorf("only %v", names)
		}
		return err
	})
}

// Neither a newer operator nor the older one that follows it makes a RoseyBot not ready for a moment, or restarts a pod
// under updatePolicy Manual; a change of the spec in between rolls out what the newer one builds, and the older one
// leaves that.
func TestUpgradeAndDowngradeDoNotFlap(t *testing.T) {
	if missing := apiservertest.Missing(); missing != "" {
		t.Skip(missing)
	}
	t.Parallel()
	create(t, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: flapNamespace}})
	bot := newBot(flapNamespace)
	stop := runOperator(t, flapNamespace, func(*Reconciler) {})
	createReady(t, bot)
	stop()
	stop = runOperator(t, flapNamespace, func(*Reconciler) {}) // the older version once more
	waitReconciledBy(t, bot, "")
	stop()
	transition := readyTransition(t, bot)
	before, err := readPodInputs(t.Context(), bot)
	if err != nil {
		t.Fatal(err)
	}
	newer := func(operator *Reconciler) {
		makeNewer(operator)
		build := operator.Build
		operator.Build = func(
			bot *v1alpha1.RoseyBot, params manifests.Params, observed manifests.Observed,
		) ([]manifests.Desired, error) {
			set, err := build(bot, params, observed)
			for _, desired := range set {
				if deployment, ok := desired.Object.(*appsv1.Deployment); ok { // a change that restarts no pod
					deployment.Labels["next"], deployment.Spec.RevisionHistoryLimit = "yes", new(int32(3))
				}
			}
			return set, err
		}
	}
	stop = runOperator(t, flapNamespace, newer)
	waitReconciledBy(t, bot, "yes")
	waitCondition(t, bot, v1alpha1.ConditionUpdateAvailable, metav1.ConditionTrue, v1alpha1.ReasonOperatorChanged)
	stop()
	stop = runOperator(t, flapNamespace, func(*Reconciler) {})
	waitReconciledBy(t, bot, "")
	waitCondition(t, bot, v1alpha1.ConditionUpdateAvailable, metav1.ConditionFalse, v1alpha1.ReasonUpToDate)
	stop()
	after, err := readPodInputs(t.Context(), bot)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, after); diff != "" {
		t.Errorf("templates and configuration (-before +after):\n%s", diff)
	}
	if now := readyTransition(t, bot); now != transition {
		t.Errorf("Ready changed at %s, want %s: it flapped", now, transition)
	}

	stop = runOperator(t, flapNamespace, newer)
	change(t, bot, func() { bot.Spec.LogLevel = "debug" })
	rollOut(t, bot)
	waitCondition(t, bot, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady)
	stop()
	changed, err := readPodInputs(t.Context(), bot)
	if err != nil {
		t.Fatal(err)
	}
	transition = readyTransition(t, bot)
	stop = runOperator(t, flapNamespace, func(*Reconciler) {})
	defer func() { stop() }()
	waitReconciledBy(t, bot, "")
	waitCondition(t, bot, v1alpha1.ConditionUpdateAvailable, metav1.ConditionTrue, v1alpha1.ReasonOperatorChanged)
	kept, err := readPodInputs(t.Context(), bot)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(changed, kept); diff != "" {
		t.Errorf("the older operator changed templates and configuration (-before +after):\n%s", diff)
	}
	if now := readyTransition(t, bot); now != transition {
		t.Errorf("Ready changed at %s, want %s: it flapped", now, transition)
	}
}

// waitReconciledBy waits until the Deployments have a label of the operator that runs, or do not have it, and then acts
// as the Deployment controller.
func waitReconciledBy(t *testing.T, bot *v1alpha1.RoseyBot, label string) {
	t.Helper()
	eventually(t, "Deployments with label "+label, func(ctx context.Context) error {
		for _, component := range manifests.Components(bot) {
			now, err := get(ctx, &appsv1.Deployment{}, bot.Namespace, manifests.Name(bot, component))
			if err != nil || now.Labels["next"] != label {
				return fmt.Errorf("labels are %v: %w", now.Labels, err)
			}
			if err := reportRolledOut(ctx, now); err != nil {
				return err
			}
		}
		return nil
	})
}

// readyTransition returns when Ready changed last. It fails unless that is True.
func readyTransition(t *testing.T, bot *v1alpha1.RoseyBot) string {
	t.Helper()
	now, err := get(t.Context(), &v1alpha1.RoseyBot{}, bot.Namespace, bot.Name)
	if err != nil {
		t.Fatal(err)
	}
	ready := meta.FindStatusCondition(now.Status.Conditions, v1alpha1.ConditionReady)
	if ready.Status != metav1.ConditionTrue {
		t.Fatal(describe(now))
	}
	return ready.LastTransitionTime.String()
}
