package controllers

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"rosey.dev/rosey/api/v1alpha1"
	"rosey.dev/rosey/controllers/manifests"
	"rosey.dev/rosey/runtime/config"
	"rosey.dev/rosey/runtime/status"
)

func toDirect(bot *v1alpha1.RoseyBot) { bot.Spec.Mode, bot.Spec.NATS = v1alpha1.ModeDirect, nil }

func withPostgres(bot *v1alpha1.RoseyBot) *v1alpha1.RoseyBot {
	bot.Spec.Database = &v1alpha1.Database{
		Postgres: &v1alpha1.Postgres{URLSecretRef: v1alpha1.SecretKeyRef{Name: "pg", Key: "uri"}},
	}
	return bot
}

// newPodWithClaim creates a pod that mounts the claim.
func newPodWithClaim(t *testing.T, bot *v1alpha1.RoseyBot, component manifests.Component) *corev1.Pod {
	t.Helper()
	labels := manifests.Selector(bot, component)
	labels[manifests.LabelManagedBy] = manifests.ManagedBy
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "holder-", Namespace: bot.Namespace, Labels: labels},
		Spec: corev1.PodSpec{
			NodeName:   "node",
			Containers: []corev1.Container{{Name: "bot", Image: testImage}},
			Volumes: []corev1.Volume{{Name: "data", VolumeSource: corev1.VolumeSource{
				PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: manifests.ClaimName(bot)},
			}}},
		},
	}
	create(t, pod)
	setPodStatus(t, pod, runningPod("127.0.0.1", true))
	return pod
}

func remove(t *testing.T, pod *corev1.Pod) {
	t.Helper()
	if err := rig.admin.Delete(t.Context(), pod, client.GracePeriodSeconds(0)); err != nil {
		t.Fatal(err)
	}
}

func waitGone(t *testing.T, object client.Object, namespace, name string) {
	t.Helper()
	eventually(t, fmt.Sprintf("%T %s is gone", object, name), func(ctx context.Context) error {
		if _, err := get(ctx, object, namespace, name); !apierrors.IsNotFound(err) {
			return fmt.Errorf("it still exists: %w", err)
		}
		return nil
	})
}

// No process opens the database file while one of the other component may still have it open, even if that one is
// shutting down.
func TestNewModeWaitsForTheClaim(t *testing.T) {
	bot := newBot(newNamespace(t))
	create(t, bot)
	rollOut(t, bot)
	holder := newPodWithClaim(t, bot, manifests.Database)
	// The finalizer simulates a pod that is shutting down within its grace period.
	change(t, holder, func() { holder.Finalizers = []string{"rosey.dev/test"} })
	change(t, bot, func() { toDirect(bot) })
	waitGone(t, &appsv1.Deployment{}, bot.Namespace, "movienight-db")
	waitReplicas(t, bot, "movienight-bot", 0)
	remove(t, holder)
	progressing := waitCondition(t, bot, v1alpha1.ConditionReconciling, metav1.ConditionTrue, v1alpha1.ReasonProgressing)
	want := "the bot starts as soon as pod " + holder.Name + ", which mounts the claim, is deleted"
	if progressing.Message != want {
		t.Errorf("message is %q, want %q", progressing.Message, want)
	}
	waitReplicas(t, bot, "movienight-bot", 0)
	change(t, holder, func() { holder.Finalizers = nil })
	waitReplicas(t, bot, "movienight-bot", 1)

	// The mode is changed back.
	rollOut(t, bot)
	holder = newPodWithClaim(t, bot, manifests.Bot)
	waitCondition(t, bot, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady)
	waitReconciled(t, bot)
	change(t, bot, func() { bot.Spec = newBot(bot.Namespace).Spec })
	waitReplicas(t, bot, "movienight-db", 0)
	remove(t, holder)
	waitReplicas(t, bot, "movienight-db", 1)
}

// In mode Direct, the bot's check of its store becomes DatabaseAvailable.
func TestDirectBotReportsItsDatabase(t *testing.T) {
	bot := newBot(newNamespace(t))
	toDirect(bot)
	create(t, bot)
	rollOut(t, bot)
	report := notReady(status.BotComponent, status.StoreCheck, status.ReasonStoreFull, "no space left")
	pod := newPod(t, bot, manifests.Bot, runningPod(startProcess(t, report).ip, false))
	waitExpected(t, bot,
		expected{v1alpha1.ConditionDatabaseAvailable, "False", "StoreFull", "no space left"},
		expected{v1alpha1.ConditionReady, "False", "StoreFull", "no space left"},
		expected{v1alpha1.ConditionChannelJoined, "True", "Joined", ""},
	)
	setPodStatus(t, pod, runningPod("127.0.0.1", true))
	waitExpected(t, bot,
		expected{v1alpha1.ConditionDatabaseAvailable, "True", "Available", "the bot has opened the database"},
		expected{v1alpha1.ConditionReady, "True", "Ready", ""},
	)
	waitReconciled(t, bot)
	now, err := get(t.Context(), &v1alpha1.RoseyBot{}, bot.Namespace, bot.Name)
	if err != nil {
		t.Fatal(err)
	}
	if now.Status.Database.Summary != "-" || now.Status.Bot.Summary != "1/1" || now.Status.Leader != pod.Name {
		t.Errorf("status is %+v", now.Status)
	}
}

// DatabaseAvailable of a RoseyBot that shares a database service is that of the owner, and follows its changes.
func TestSharedDatabaseHasTheStatusOfItsOwner(t *testing.T) {
	namespace := newNamespace(t)
	bot := newBot(namespace)
	bot.Name, bot.Spec.NATS = "guest", nil
	bot.Spec.Database = &v1alpha1.Database{SharedFrom: &v1alpha1.ObjectRef{Name: "movienight"}}
	create(t, bot)
	waitExpected(t, bot,
		expected{v1alpha1.ConditionReady, "False", "SharedOwnerMissing", "does not exist, but database.sharedFrom names it"},
		expected{v1alpha1.ConditionDatabaseAvailable, "False", "SharedOwnerMissing", "does not exist"},
		expected{v1alpha1.ConditionBotAvailable, "False", "SharedOwnerMissing", ""},
	)
	owner := newBot(namespace)
	owner.Spec.NATS = &v1alpha1.NATS{
		URL: "tls://owner:4222", CredentialsSecretRef: &v1alpha1.ObjectRef{Name: "login"},
		TLSSecretRef: &v1alpha1.ObjectRef{Name: "ca"},
	}
	create(t, owner)
	waitExpected(t, bot,
		expected{v1alpha1.ConditionDatabaseAvailable, "False", "Progressing", "movienight: a pod of the database service"})
	configuration, err := get(t.Context(), &corev1.ConfigMap{}, namespace, "guest-config")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"tls://owner:4222", "rosey_" + namespace + "_movienight", config.NATSCredentialsDir} {
		if !strings.Contains(configuration.Data[config.BotFile], want) {
			t.Errorf("no %q in the configuration:\n%s", want, configuration.Data[config.BotFile])
		}
	}
	if _, err := get(t.Context(), &appsv1.Deployment{}, namespace, "guest-db"); !apierrors.IsNotFound(err) {
		t.Errorf("a database service of its own: %v", err)
	}
	rollOut(t, owner)
	newPod(t, owner, manifests.Database, runningPod(startProcess(t, serving(bot)).ip, true))
	rollOut(t, bot)
	newPod(t, bot, manifests.Bot, runningPod("127.0.0.1", true))
	waitCondition(t, bot, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady)
	waitReconciled(t, bot)

	change(t, owner, func() { owner.Spec.Suspend = new(true) })
	waitExpected(t, bot, expected{v1alpha1.ConditionReady, "False", "SharedOwnerSuspended", "movienight is suspended"})
	change(t, owner, func() { owner.Spec.Suspend = nil })
	waitCondition(t, bot, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady)
	change(t, owner, func() { toDirect(owner) })
	waitExpected(t, bot,
		expected{v1alpha1.ConditionReady, "False", "SharedOwnerUnusable", "movienight has no database service of its own"},
		expected{v1alpha1.ConditionBotAvailable, "True", "Available", ""}, // what runs goes on
	)
}

// Several bots are updated and disrupted one by one and spread over nodes. status.leader is the one that they report.
func TestHotStandby(t *testing.T) {
	bot := newBot(newNamespace(t))
	bot.Spec.Replicas = new(int32(2))
	create(t, bot)
	rollOut(t, bot)
	waitReplicas(t, bot, "movienight-bot", 2)
	deployment, err := get(t.Context(), &appsv1.Deployment{}, bot.Namespace, "movienight-bot")
	if err != nil {
		t.Fatal(err)
	}
	rolling := deployment.Spec.Strategy.RollingUpdate
	if rolling == nil || rolling.MaxUnavailable.IntValue() != 0 || rolling.MaxSurge.IntValue() != 1 {
		t.Errorf("strategy is %v: a standby does not always exist", deployment.Spec.Strategy)
	}
	budget, err := get(t.Context(), &policyv1.PodDisruptionBudget{}, bot.Namespace, "movienight-bot")
	if err != nil || budget.Spec.MaxUnavailable.IntValue() != 1 {
		t.Errorf("the budget is %v, %v", budget.Spec, err)
	}
	newPod(t, bot, manifests.Database, runningPod("127.0.0.1", true))
	report := healthyReport(status.BotComponent)
	chat := startProcess(t, report)
	for number := 1; number <= 2; number++ {
		pod := newPod(t, bot, manifests.Bot, runningPod(chat.ip, true))
		waitCondition(t, bot, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady)
		waitReconciled(t, bot)
		next := report
		next.Leader = pod.Name
		chat.report.Store(&next)
		reconcileOnce(t, bot)
		waitLeader(t, bot, pod.Name, fmt.Sprintf("%d/2", number))
	}
	// Whoever can write the leader's key in NATS can name anything.
	forged := report
	forged.Leader = "evil"
	chat.report.Store(&forged)
	reconcileOnce(t, bot)
	waitExpected(t, bot, expected{v1alpha1.ConditionReady, "False", v1alpha1.ReasonForeignLeader, "stand by for evil"})
	chat.report.Store(&report)
	reconcileOnce(t, bot)
	waitCondition(t, bot, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady)

	if err := scale(t, bot, 1); err != nil {
		t.Fatal(err)
	}
	waitGone(t, &policyv1.PodDisruptionBudget{}, bot.Namespace, "movienight-bot")
	eventually(t, "the only bot is recreated", func(ctx context.Context) error {
		now, err := get(ctx, &appsv1.Deployment{}, bot.Namespace, "movienight-bot")
		if err == nil && now.Spec.Strategy.Type != appsv1.RecreateDeploymentStrategyType {
			// The rolling update is under way until the Deployment controller says that it is not.
			err = errors.Join(fmt.Errorf("strategy is %v", now.Spec.Strategy), reportRolledOut(ctx, now))
		}
		return err
	})
}

func waitLeader(t *testing.T, bot *v1alpha1.RoseyBot, leader, summary string) {
	t.Helper()
	eventually(t, "the leader is "+leader, func(ctx context.Context) error {
		now, err := get(ctx, &v1alpha1.RoseyBot{}, bot.Namespace, bot.Name)
		if err == nil && (now.Status.Leader != leader || now.Status.Bot.Summary != summary) {
			err = fmt.Errorf("status is %+v", now.Status)
		}
		return err
	})
}

// scaleDatabase acts as the HorizontalPodAutoscaler.
func scaleDatabase(t *testing.T, bot *v1alpha1.RoseyBot, replicas int32) {
	t.Helper()
	deployment := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Name: "movienight-db", Namespace: bot.Namespace}}
	eventually(t, "scaled", func(ctx context.Context) error {
		now := &autoscalingv1.Scale{}
		if err := rig.admin.SubResource("scale").Get(ctx, deployment, now); err != nil {
			return err
		}
		now.Spec.Replicas = replicas
		return rig.admin.SubResource("scale").Update(ctx, deployment, client.WithSubResourceBody(now))
	})
}

// The number of pods never drops when the autoscaler takes it over from the spec, nor when it is removed.
func TestAutoscalingIsTurnedOnAndOff(t *testing.T) {
	bot := withPostgres(newBot(newNamespace(t)))
	bot.Spec.Database.Replicas = new(int32(4))
	createReady(t, bot)
	waitReplicas(t, bot, "movienight-db", 4)
	seen := watchReplicas(t, bot.Namespace, "movienight-db")
	change(t, bot, func() {
		bot.Spec.Database.Autoscaling = &v1alpha1.Autoscaling{MinReplicas: new(int32(2)), MaxReplicas: 8}
	})
	eventually(t, "the operator does not own the number of pods", func(ctx context.Context) error {
		if _, err := get(ctx, &autoscalingv2.HorizontalPodAutoscaler{}, bot.Namespace, "movienight-db"); err != nil {
			return err
		}
		now, err := get(ctx, &appsv1.Deployment{}, bot.Namespace, "movienight-db")
		if err == nil && ownsReplicas(now) {
			err = errors.New("it is")
		}
		return err
	})
	waitReplicas(t, bot, "movienight-db", 4)
	scaleDatabase(t, bot, 6)
	rollOut(t, bot)
	waitCondition(t, bot, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady)
	waitReconciled(t, bot)
	waitReplicas(t, bot, "movienight-db", 6)
	scaleDatabase(t, bot, 4)
	waitReconciled(t, bot)
	change(t, bot, func() { bot.Spec.Database.Autoscaling = nil })
	waitGone(t, &autoscalingv2.HorizontalPodAutoscaler{}, bot.Namespace, "movienight-db")
	rollOut(t, bot)
	waitReconciled(t, bot)
	waitReplicas(t, bot, "movienight-db", 4)
	now, err := get(t.Context(), &appsv1.Deployment{}, bot.Namespace, "movienight-db")
	if err != nil || !ownsReplicas(now) {
		t.Errorf("the operator does not own the number of pods again: %v, %v", now.ManagedFields, err)
	}
	for _, replicas := range seen() {
		if replicas < 4 {
			t.Errorf("the number of pods dropped to %d", replicas)
		}
	}
}

// An autoscaler ignores Deployments with 0 replicas, so the operator has to scale them up again.
func TestAutoscaledDatabaseIsResumed(t *testing.T) {
	bot := withPostgres(newBot(newNamespace(t)))
	bot.Spec.Database.Autoscaling = &v1alpha1.Autoscaling{MinReplicas: new(int32(2)), MaxReplicas: 8}
	create(t, bot)
	waitReplicas(t, bot, "movienight-db", 2)
	change(t, bot, func() { bot.Spec.Suspend = new(true) })
	waitReplicas(t, bot, "movienight-db", 0)
	waitGone(t, &autoscalingv2.HorizontalPodAutoscaler{}, bot.Namespace, "movienight-db")
	waitGone(t, &policyv1.PodDisruptionBudget{}, bot.Namespace, "movienight-db")
	change(t, bot, func() { bot.Spec.Suspend = nil })
	waitReplicas(t, bot, "movienight-db", 2)
}

// watchReplicas records every value of a Deployment's spec.replicas from now on.
func watchReplicas(t *testing.T, namespace, name string) (seen func() []int32) {
	t.Helper()
	watcher, err := client.NewWithWatch(rig.config, client.Options{Scheme: rig.admin.Scheme()})
	if err != nil {
		t.Fatal(err)
	}
	stream, err := watcher.Watch(t.Context(), &appsv1.DeploymentList{}, client.InNamespace(namespace),
		client.MatchingFields{"metadata.name": name})
	if err != nil {
		t.Fatal(err)
	}
	var numbers []int32
	done := make(chan struct{})
	go func() {
		defer close(done)
		for event := range stream.ResultChan() {
			if deployment, ok := event.Object.(*appsv1.Deployment); ok {
				numbers = append(numbers, *deployment.Spec.Replicas)
			}
		}
	}()
	t.Cleanup(stream.Stop)
	return func() []int32 {
		stream.Stop()
		<-done
		return numbers
	}
}
