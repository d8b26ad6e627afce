package controllers

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"rosey.dev/rosey/api/v1alpha1"
	"rosey.dev/rosey/controllers/manifests"
	"rosey.dev/rosey/test/apiservertest"
)

// awaitReconciled waits until the running operator has looked at every RoseyBot: it repairs a label of a Service.
func awaitReconciled(t *testing.T, bots []*v1alpha1.RoseyBot) {
	t.Helper()
	services := map[string]*corev1.Service{}
	for _, bot := range bots {
		name := manifests.Name(bot, manifests.Bot)
		service := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: bot.Namespace}}
		change(t, service, func() { service.Labels["next"] = "edited" })
		services[name] = service
	}
	eventually(t, "the operator has reconciled every RoseyBot", func(ctx context.Context) error {
		for name, service := range services {
			now, err := get(ctx, &corev1.Service{}, service.Namespace, name)
			if err != nil || now.Labels["next"] == "edited" {
				return fmt.Errorf("Service %s has labels %v: %w", name, now.Labels, err)
			}
		}
		return nil
	})
}

// checkHalted fails unless the update of one RoseyBot counts as failed, and no other one is updated.
func checkHalted(t *testing.T, bots []*v1alpha1.RoseyBot, failed *v1alpha1.RoseyBot) {
	t.Helper()
	waitCondition(t, failed, v1alpha1.ConditionUpdateAvailable, metav1.ConditionFalse, v1alpha1.ReasonUpdateFailed)
	awaitReconciled(t, bots)
	var names []string
	eventually(t, "every Deployment exists", func(ctx context.Context) (err error) {
		names, err = updated(ctx, bots)
		return err
	})
	if len(names) != 1 {
		t.Fatalf("updated are %v, want %s alone", names, failed.Name)
	}
}

// waitReady waits until Ready has a status, whatever the reason.
func waitReady(t *testing.T, bot *v1alpha1.RoseyBot, want metav1.ConditionStatus) {
	t.Helper()
	eventually(t, fmt.Sprintf("%s has Ready %s", bot.Name, want), func(ctx context.Context) error {
		now, err := get(ctx, &v1alpha1.RoseyBot{}, bot.Namespace, bot.Name)
		if err == nil && !meta.IsStatusConditionPresentAndEqual(now.Status.Conditions, v1alpha1.ConditionReady, want) {
			err = errors.New(describe(now))
		}
		return err
	})
}

// botPods returns the pods of a RoseyBot.
func botPods(t *testing.T, bot *v1alpha1.RoseyBot) []corev1.Pod {
	t.Helper()
	pods := &corev1.PodList{}
	err := rig.admin.List(t.Context(), pods, client.InNamespace(bot.Namespace),
		client.MatchingLabels{manifests.LabelRoseyBot: bot.Name})
	if err != nil {
		t.Fatal(err)
	}
	return pods.Items
}

// Whatever somebody does first with a RoseyBot whose update has failed, the image that has failed does not go on to the
// next one: only another image, or that it is ready, ends the halt.
func TestAFailedUpdateStaysFailed(t *testing.T) {
	bots := createAutomatic(t, stayingNamespace, "one", "two")
	stop := runOperator(t, stayingNamespace, oneAtATime(time.Second))
	defer func() { stop() }()
	restart := func() {
		stop()
		stop = runOperator(t, stayingNamespace, oneAtATime(time.Second))
	}
	failed, _ := awaitTurn(t, bots, 1, nil)
	checkHalted(t, bots, failed)

	pods := botPods(t, failed)
	for i := range pods { // they run and do not answer, so that nothing is known of them
		setPodStatus(t, &pods[i], runningPod(newAddress(), false))
	}
	rollOut(t, failed)
	waitReady(t, failed, metav1.ConditionUnknown)
	for i := range pods {
		setPodStatus(t, &pods[i], corev1.PodStatus{Phase: corev1.PodPending})
	}
	waitReady(t, failed, metav1.ConditionFalse)
	restart()
	checkHalted(t, bots, failed)

	for _, bot := range bots { // what is deleted while it waits is restored, and not updated without a turn
		if bot != failed {
			removeAll(t, bot)
		}
	}
	checkHalted(t, bots, failed)

	for _, edit := range []func(){
		func() { failed.Spec.LogLevel = "debug" },
		func() { failed.Spec.Replicas = new(int32(0)) },
		func() { failed.Spec.Suspend = new(true) },
		func() { failed.Spec.Suspend, failed.Spec.Replicas = nil, nil },
		func() { failed.Spec.UpdatePolicy = v1alpha1.UpdateManual },
	} {
		change(t, failed, edit)
		restart()
		checkHalted(t, bots, failed)
	}
	change(t, failed, func() { failed.Spec.Suspend = new(true) })
	rollOut(t, failed)
	for i := range pods {
		if err := rig.admin.Delete(t.Context(), &pods[i], client.GracePeriodSeconds(0)); err != nil {
			t.Fatal(err)
		}
	}
	waitCondition(t, failed, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonSuspended)
	checkHalted(t, bots, failed)

	change(t, failed, func() { failed.Spec.Image = "rosey.example/rosey:fixed" })
	eventually(t, "the other one is updated", func(ctx context.Context) error {
		names, err := updated(ctx, bots)
		if err == nil && len(names) < 2 {
			err = fmt.Errorf("updated are %v", names)
		}
		return err
	})
}

// refusingClient is a client of an API server that refuses writes of Deployments, as a quota or a policy does.
type refusingClient struct{ client.Client }

func (c refusingClient) Apply(
	ctx context.Context, content runtime.ApplyConfiguration, options ...client.ApplyOption,
) error {
	if object, isObject := content.(interface{ GetKind() string }); isObject && object.GetKind() == "Deployment" {
		return errors.New("exceeded quota")
	}
	return c.Client.Apply(ctx, content, options...)
}

// An update that cannot be written has failed, however often it is tried again.
func TestARefusedUpdateStaysFailed(t *testing.T) {
	bots := createAutomatic(t, refusingNamespace, "one", "two")
	stop := runOperator(t, refusingNamespace, func(operator *Reconciler) {
		oneAtATime(time.Second)(operator)
		operator.Client = refusingClient{operator.Client}
	})
	defer func() { stop() }()
	var failed *v1alpha1.RoseyBot
	eventually(t, "the update of one has failed", func(ctx context.Context) error {
		for _, bot := range bots {
			now, err := get(ctx, &v1alpha1.RoseyBot{}, bot.Namespace, bot.Name)
			if err != nil {
				return err
			}
			condition := meta.FindStatusCondition(now.Status.Conditions, v1alpha1.ConditionUpdateAvailable)
			if condition.Reason == v1alpha1.ReasonUpdateFailed {
				failed = bot
			}
		}
		if failed == nil {
			return errors.New("none has")
		}
		return nil
	})
	for _, bot := range bots {
		if bot != failed {
			waitHalted(t, bot, "because RoseyBot "+failed.Name+" was ready before its update")
		}
	}
	stop()
	stop = runOperator(t, refusingNamespace, oneAtATime(time.Second)) // now it can be written, and does not become ready
	awaitTurn(t, bots, 1, nil)
	checkHalted(t, bots, failed)

	// Another version of the operator ends the halt. The RoseyBot that is ill need not wait for its turn.
	stop()
	const newest = "rosey.example/rosey:newest"
	stop = runOperator(t, refusingNamespace, func(operator *Reconciler) {
		oneAtATime(time.Second)(operator)
		operator.Params.Image = newest
	})
	eventually(t, "both have the newest image", func(ctx context.Context) error {
		for _, bot := range bots {
			now, err := get(ctx, &appsv1.Deployment{}, bot.Namespace, manifests.Name(bot, manifests.Bot))
			if err != nil || now.Spec.Template.Spec.Containers[0].Image != newest {
				return fmt.Errorf("%s does not: %w", bot.Name, err)
			}
		}
		return nil
	})
}

// waitHalted waits until a RoseyBot says why it is not updated.
func waitHalted(t *testing.T, bot *v1alpha1.RoseyBot, message string) {
	t.Helper()
	eventually(t, bot.Name+" says why it waits", func(ctx context.Context) error {
		now, err := get(ctx, &v1alpha1.RoseyBot{}, bot.Namespace, bot.Name)
		if err != nil {
			return err
		}
		waiting := meta.FindStatusCondition(now.Status.Conditions, v1alpha1.ConditionUpdateAvailable)
		if waiting.Reason != v1alpha1.ReasonUpdateWaits || !strings.Contains(waiting.Message, message) {
			return errors.New(describe(now))
		}
		return nil
	})
}

// The users of one namespace cannot prevent the updates of others: a failed update halts its own namespace. Those of
// two namespaces halt all, because then it is the image that fails.
func TestAFailedUpdateOfOneNamespaceDoesNotHaltTheOthers(t *testing.T) {
	if missing := apiservertest.Missing(); missing != "" {
		t.Skip(missing)
	}
	t.Parallel()
	stop := func() {}
	defer func() { stop() }()
	var bots []*v1alpha1.RoseyBot
	for _, namespace := range tenantNamespaces {
		create(t, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}})
	}
	stop = runOperatorIn(t, tenantNamespaces, func(*Reconciler) {})
	for _, namespace := range tenantNamespaces {
		bot := newBot(namespace)
		bot.Spec.UpdatePolicy = v1alpha1.UpdateAutomatic
		createReady(t, bot)
		bots = append(bots, bot)
	}
	stop()
	stop = runOperatorIn(t, tenantNamespaces, oneAtATime(time.Second))
	awaitTurn(t, bots, 2, nil)
	failed := map[string]bool{}
	for _, bot := range bots {
		deployment, err := get(t.Context(), &appsv1.Deployment{}, bot.Namespace, manifests.Name(bot, manifests.Bot))
		if err != nil {
			t.Fatal(err)
		}
		if deployment.Spec.Template.Spec.Containers[0].Image != testImage {
			failed[bot.Namespace] = true
		}
	}
	if len(failed) != 2 {
		t.Errorf("updated are RoseyBots of %v, want one of each of two namespaces", failed)
	}
	for _, bot := range bots {
		if !failed[bot.Namespace] {
			waitHalted(t, bot, "because RoseyBots of 2 or more other namespaces were ready before")
		}
	}
}

// A RoseyBot that is not ready for a moment, for example because the database service that it shares restarts, is
// updated when it is ready again: otherwise it would count as one that was ill before, and its failure would halt
// nobody.
func TestUpdatesWaitForWhatIsNotReadyForAMoment(t *testing.T) {
	if missing := apiservertest.Missing(); missing != "" {
		t.Skip(missing)
	}
	t.Parallel()
	create(t, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: momentNamespace}})
	stop := runOperator(t, momentNamespace, func(*Reconciler) {})
	defer func() { stop() }()
	owner, sharer := newBot(momentNamespace), newSharer(momentNamespace, "sharer")
	owner.Spec.UpdatePolicy, sharer.Spec.UpdatePolicy = v1alpha1.UpdateAutomatic, v1alpha1.UpdateAutomatic
	service := startProcess(t, serving(owner, sharer))
	create(t, owner)
	rollOut(t, owner)
	pod := newPod(t, owner, manifests.Database, runningPod(service.ip, true))
	newBotPod(t, owner)
	waitReady(t, owner, metav1.ConditionTrue)
	createReady(t, sharer)
	setPodStatus(t, pod, runningPod(service.ip, false)) // the service restarts
	waitReady(t, owner, metav1.ConditionFalse)
	waitReady(t, sharer, metav1.ConditionFalse)
	stop()
	stop = runOperator(t, momentNamespace, func(operator *Reconciler) {
		makeNewer(operator)
		operator.SetAutomaticUpdates(AutomaticUpdates{MaxConcurrent: 2, Deadline: time.Hour})
	})
	for _, bot := range []*v1alpha1.RoseyBot{owner, sharer} {
		waitHalted(t, bot, "it is updated when it is ready again")
	}
	setPodStatus(t, pod, runningPod(service.ip, true))
	for _, bot := range []*v1alpha1.RoseyBot{owner, sharer} {
		eventually(t, bot.Name+" is updated as one that was ready", func(ctx context.Context) error {
			now, err := get(ctx, &v1alpha1.RoseyBot{}, bot.Namespace, bot.Name)
			if err == nil && (now.Status.Update == nil || !now.Status.Update.WasReady) {
				err = fmt.Errorf("update is %v: %s", now.Status.Update, describe(now))
			}
			return err
		})
	}
}

// An update that began in the future, by a clock that was wrong, does not prevent others until then.
func TestAnUpdateOfTheFutureOccupiesNoPlace(t *testing.T) {
	now, limits := time.Now(), newUpdates(DefaultAutomaticUpdates)
	first, second := newBot("fun"), newBot("fun")
	first.Name = "first"
	if _, waits := limits.begin(first, "new", now.AddDate(1, 0, 0)); waits != "" {
		t.Fatal(waits)
	}
	if _, waits := limits.begin(second, "new", now); waits != "" {
		t.Error(waits)
	}
}
