package controllers

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"rosey.dev/rosey/api/v1alpha1"
	"rosey.dev/rosey/controllers/manifests"
	"rosey.dev/rosey/runtime/status"
)

// frugalNamespace is not watched by the operator of the other tests, which writes progress at once.
const frugalNamespace = "frugal"

// frugal counts the requests of an operator for RoseyBots whose pods start and end as those of a cluster do.
type frugal struct {
	operator *Reconciler
	clock    *fakeClock
	pods     map[string][]*corev1.Pod // by the name of the Deployment
}

func startFrugal(t *testing.T) *frugal {
	t.Helper()
	newNamespace(t) // skips the test without an API server
	create(t, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: frugalNamespace}})
	f := &frugal{clock: &fakeClock{}, pods: map[string][]*corev1.Pod{}}
	fetch := rig.operator.probes.fetch
	t.Cleanup(runOperator(t, frugalNamespace, func(operator *Reconciler) {
		f.operator = operator
		operator.now, operator.probes.now = f.clock.now, f.clock.now
		operator.probes.limit, operator.eventLimit = rig.operator.probes.limit, rig.operator.eventLimit
		operator.probes.firstLimit = rig.operator.probes.firstLimit
		operator.probes.fetch = func(ctx context.Context, next probe) (status.Report, error) {
			report, err := fetch(ctx, next)
			store := status.Check{Name: status.StoreCheck, OK: true, Reason: status.ReasonStoreOpen}
			report.Checks = append(report.Checks, store) // of a direct bot
			if next.component == manifests.Database {    // also for the sharer
				report.Channels = serving(newBot(""), newSharer("", "sharer")).Channels
			}
			return report, err
		}
	}))
	return f
}

// A RoseyBot that starts was written seven statuses and five events: one for each step of its pods.
func TestNewRoseyBotCostsItsObjectsAndTwoStatuses(t *testing.T) {
	f := startFrugal(t)
	named := func(name string, edit func(*v1alpha1.RoseyBot)) *v1alpha1.RoseyBot {
		bot := newBot(frugalNamespace)
		bot.Name = name
		edit(bot)
		return bot
	}
	var bots []*v1alpha1.RoseyBot
	for _, test := range []struct {
		bot     *v1alpha1.RoseyBot
		objects int
	}{
		{newBot(frugalNamespace), 11},
		{newSharer(frugalNamespace, "sharer"), 6},
		{named("postgres", func(bot *v1alpha1.RoseyBot) { withPostgres(bot) }), 10},
		{named("direct", func(bot *v1alpha1.RoseyBot) { bot.Spec.Mode, bot.Spec.NATS = v1alpha1.ModeDirect, nil }), 7},
		{named("standby", func(bot *v1alpha1.RoseyBot) { bot.Spec.Replicas = new(int32(2)) }), 12},
		{named("autoscaled", func(bot *v1alpha1.RoseyBot) {
			withPostgres(bot).Spec.Database.Autoscaling = &v1alpha1.Autoscaling{MaxReplicas: 3}
		}), 12},
	} {
		sent := f.during(t, test.bot, func() {
			create(t, test.bot)
			f.start(t, test.bot, v1alpha1.ReasonReady)
		})
		if len(sent.created) != test.objects || len(sent.statuses) != 2 || len(sent.others) > 0 || len(sent.events) > 2 {
			t.Errorf("RoseyBot %s: %+v; expected %d objects, 2 statuses and at most 2 events", test.bot.Name, sent, test.objects)
		}
		bots = append(bots, test.bot)
	}
	bot := bots[2]
	for _, test := range []struct {
		name string
		edit func()
		want string
	}{
		{"it is updated", func() { bot.Spec.LogLevel = "debug" }, v1alpha1.ReasonReady},
		{"a standby is added", func() { bot.Spec.Replicas = new(int32(2)) }, v1alpha1.ReasonReady},
		{"the standby is removed", func() { bot.Spec.Replicas = nil }, v1alpha1.ReasonReady},
		{"it is suspended", func() { bot.Spec.Suspend = new(true) }, v1alpha1.ReasonSuspended},
		{"it is resumed", func() { bot.Spec.Suspend = nil }, v1alpha1.ReasonReady},
	} {
		sent := f.during(t, bot, func() {
			change(t, bot, test.edit)
			f.start(t, bot, test.want)
		})
		if len(sent.statuses) != 2 || len(sent.events) > 2 {
			t.Errorf("%s: %+v; expected 2 statuses and at most 2 events", test.name, sent)
		}
	}
}

// A pod that takes long to start is in the status before it is ready.
func TestProgressThatLastsIsWritten(t *testing.T) {
	created := time.Date(2026, time.January, 1, 0, 0, 0, 0, time.UTC)
	for name, test := range map[string]struct {
		reason string
		want   time.Duration
	}{
		"a pod starts":                 {string(status.ReasonStarting), settleTime},
		"a volume is waited for":       {v1alpha1.ReasonClaimPending, settleTime / 4},
		"the image cannot be pulled":   {v1alpha1.ReasonImagePullFailed, 0},
		"the server cannot be reached": {string(status.ReasonServerUnreachable), 0},
	} {
		t.Run(name, func(t *testing.T) {
			now := created
			operator := &Reconciler{memories: newMemories(), settleTime: settleTime, now: func() time.Time { return now }}
			bot := newBot("fun")
			in := statusInput{bot: bot}
			bot.Status.Conditions = []metav1.Condition{{
				Type: v1alpha1.ConditionReady, Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonProgressing,
			}}
			next := *bot.Status.DeepCopy()
			next.Bot.Replicas, next.Conditions[0].Reason = 1, test.reason
			if wait := operator.settle(in, next); wait != test.want {
				t.Fatalf("it is written after %s, want %s", wait, test.want)
			}
			now = now.Add(test.want / 2)
			next.Database.Replicas = 1 // more progress does not delay it
			if wait := operator.settle(in, next); wait != test.want/2 {
				t.Errorf("it is written after %s more, want %s", wait, test.want/2)
			}
		})
	}
}

// Only progress waits. Ready never stays True when it is not, and what others act on is written at once.
func TestWhatIsMoreThanProgressIsWrittenAtOnce(t *testing.T) {
	condition := func(kind string, status metav1.ConditionStatus, reason string) metav1.Condition {
		return metav1.Condition{Type: kind, Status: status, Reason: reason}
	}
	starts := []metav1.Condition{
		condition(v1alpha1.ConditionReady, "False", v1alpha1.ReasonProgressing),
		condition(v1alpha1.ConditionDatabaseAvailable, "False", v1alpha1.ReasonProgressing),
		condition(v1alpha1.ConditionReconciling, "True", v1alpha1.ReasonProgressing),
	}
	ready := []metav1.Condition{
		condition(v1alpha1.ConditionReady, "True", v1alpha1.ReasonReady),
		condition(v1alpha1.ConditionDatabaseAvailable, "True", v1alpha1.ReasonAvailable),
	}
	type edited = v1alpha1.RoseyBotStatus
	pinned := make([]v1alpha1.PinnedObject, 1)
	for name, test := range map[string]struct {
		before   []metav1.Condition
		change   func(*edited)
		isShared bool
		want     bool // only progress
	}{
		"a pod is created":      {starts, func(s *edited) { s.Bot.Replicas, s.Replicas = 1, 1 }, false, true},
		"rolled out":            {starts, func(s *edited) { s.Conditions = s.Conditions[:2] }, false, true},
		"the database is ready": {starts, func(s *edited) { s.Conditions[1] = ready[1] }, false, true},
		"sharers wait for it":   {starts, func(s *edited) { s.Conditions[1] = ready[1] }, true, false},
		"another pod is ready":  {ready, func(s *edited) { s.Bot.ReadyReplicas = 2 }, false, true},
		"first status":          {nil, func(s *edited) { s.Conditions = starts }, false, false},
		"ready":                 {starts, func(s *edited) { s.Conditions = ready }, false, false},
		"not ready any more":    {ready, func(s *edited) { s.Conditions = starts }, false, false},
		"another leader":        {ready, func(s *edited) { s.Leader = "other" }, false, false},
		"the database is gone":  {ready, func(s *edited) { s.Conditions[1] = starts[1] }, false, false},
		"another generation":    {starts, func(s *edited) { s.ObservedGeneration = 2 }, false, false},
		"an update begins":      {starts, func(s *edited) { s.Update = &v1alpha1.UpdateStatus{} }, false, false},
		"what runs is pinned":   {starts, func(s *edited) { s.Pinned = pinned }, false, false},
		"a backup was made":     {ready, func(s *edited) { s.LastBackupTime = new(metav1.Now()) }, false, false},
		"an update failed": {starts, func(s *edited) {
			s.Conditions[2].Type = v1alpha1.ConditionUpdateAvailable
		}, false, false},
		"stalled": {starts, func(s *edited) { s.Conditions[2].Type = v1alpha1.ConditionStalled }, false, false},
		"a cause": {starts, func(s *edited) {
			s.Conditions[1].Reason = v1alpha1.ReasonImagePullFailed
		}, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			before := v1alpha1.RoseyBotStatus{Conditions: test.before, ObservedGeneration: 1}
			after := *before.DeepCopy()
			test.change(&after)
			if got := onlyProgress(before, after, test.isShared); got != test.want {
				t.Errorf("it is only progress: %v, want %v", got, test.want)
			}
		})
	}
}

// sent is what an operator has sent for a RoseyBot.
type sent struct{ created, statuses, events, others []string }

// during returns what the operator sends for a RoseyBot while something is done.
func (f *frugal) during(t *testing.T, bot *v1alpha1.RoseyBot, do func()) (found sent) {
	t.Helper()
	before := len(f.calls())
	do()
	f.waitQuiet(t, bot)
	for _, one := range f.calls()[before:] {
		text := fmt.Sprint(one)
		switch {
		case strings.HasSuffix(one.path, "/events"):
			found.events = append(found.events, text)
		case one.method == http.MethodPost:
			found.created = append(found.created, text)
		case strings.HasSuffix(one.path, bot.Name+"/status"):
			found.statuses = append(found.statuses, text)
		case strings.HasSuffix(one.path, "movienight-channels") && bot.Name != "movienight":
			// The owner of a shared service lists the channel of the sharer.
		default:
			found.others = append(found.others, text)
		}
	}
	return found
}

func (f *frugal) calls() (found []call) {
	rig.requests.mutex.Lock()
	defer rig.requests.mutex.Unlock()
	for _, one := range rig.requests.calls {
		if strings.Contains(one.path, "/namespaces/"+frugalNamespace+"/") {
			found = append(found, one)
		}
	}
	return found
}

// waitQuiet waits until the operator sends nothing any more: it knows what it has written last.
func (f *frugal) waitQuiet(t *testing.T, bot *v1alpha1.RoseyBot) {
	t.Helper()
	sent, rounds := -1, 0
	eventually(t, "no requests", func(ctx context.Context) error {
		known := &v1alpha1.RoseyBot{}
		err := f.operator.Client.Get(ctx, client.ObjectKeyFromObject(bot), known)
		now, errNow := get(ctx, &v1alpha1.RoseyBot{}, bot.Namespace, bot.Name)
		rounds++
		if count := len(f.calls()); count != sent || known.ResourceVersion != now.ResourceVersion {
			sent, rounds = count, 0
		}
		if rounds < 5 {
			err = errors.Join(err, errNow, fmt.Errorf("%d requests, %d rounds ago", sent, rounds))
		}
		return err
	})
}

// start acts as the Deployment controller, the scheduler and the kubelet: it starts and stops pods in steps, each of
// which the operator sees, until the RoseyBot is ready for a reason.
func (f *frugal) start(t *testing.T, bot *v1alpha1.RoseyBot, reason string) {
	t.Helper()
	eventually(t, bot.Name+" is ready", func(ctx context.Context) error {
		for _, component := range manifests.Components(bot) {
			deployment, err := get(ctx, &appsv1.Deployment{}, bot.Namespace, manifests.Name(bot, component))
			if err != nil {
				return err
			}
			f.replace(t, deployment)
			for _, step := range podSteps() {
				for _, pod := range f.pods[deployment.Name] {
					if !podReady(pod) {
						step(t, pod)
						f.waitSeen(t, pod)
					}
				}
			}
		}
		now, err := get(ctx, &v1alpha1.RoseyBot{}, bot.Namespace, bot.Name)
		ready := meta.FindStatusCondition(now.Status.Conditions, v1alpha1.ConditionReady)
		if err == nil && (ready == nil || ready.Status != metav1.ConditionTrue || ready.Reason != reason ||
			ready.ObservedGeneration != now.Generation) {
			err = errors.New(describe(now))
		}
		return err
	})
}

// replace deletes and creates pods of a Deployment, so that there are as many as it asks for with its template.
func (f *frugal) replace(t *testing.T, deployment *appsv1.Deployment) {
	t.Helper()
	wanted, hash := int(*deployment.Spec.Replicas), deployment.Annotations["rosey.dev/template-hash"]
	kept := f.pods[deployment.Name][:0]
	for _, pod := range f.pods[deployment.Name] {
		if pod.Labels["hash"] == hash && len(kept) < wanted {
			kept = append(kept, pod)
			continue
		}
		if err := rig.admin.Delete(t.Context(), pod, client.GracePeriodSeconds(0)); err != nil {
			t.Fatal(err)
		}
		f.waitSeen(t, pod)
	}
	for len(kept) < wanted {
		labels := map[string]string{"hash": hash}
		maps.Copy(labels, deployment.Spec.Template.Labels)
		pod := &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{
				GenerateName: deployment.Name + "-", Namespace: deployment.Namespace, Labels: labels,
				Annotations: deployment.Spec.Template.Annotations,
			},
			Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "bot", Image: testImage}}},
		}
		create(t, pod)
		f.waitSeen(t, pod)
		kept = append(kept, pod)
	}
	f.pods[deployment.Name] = kept
	if reportRolledOut(t.Context(), deployment) == nil { // else the operator has changed it, and the next round sees it
		f.waitSeen(t, deployment)
	}
}

// waitSeen waits until the operator's cache has an object as it is.
func (f *frugal) waitSeen(t *testing.T, object client.Object) {
	t.Helper()
	eventually(t, object.GetName()+" is seen", func(ctx context.Context) error {
		now, _ := object.DeepCopyObject().(client.Object)
		known, _ := object.DeepCopyObject().(client.Object)
		errNow := rig.admin.Get(ctx, client.ObjectKeyFromObject(object), now)
		errKnown := f.operator.Client.Get(ctx, client.ObjectKeyFromObject(object), known)
		if (errNow == nil) != (errKnown == nil) || errNow == nil && now.GetResourceVersion() != known.GetResourceVersion() {
			return fmt.Errorf("version %s of %s: %w, %w", known.GetResourceVersion(), now.GetResourceVersion(), errNow, errKnown)
		}
		return nil
	})
}

// podSteps are the steps in which a pod starts.
func podSteps() []func(*testing.T, *corev1.Pod) {
	write := func(status corev1.PodStatus) func(*testing.T, *corev1.Pod) {
		return func(t *testing.T, pod *corev1.Pod) { setPodStatus(t, pod, *status.DeepCopy()) }
	}
	creating := corev1.PodStatus{Phase: corev1.PodPending, ContainerStatuses: []corev1.ContainerStatus{{
		Name: "bot", State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: containerCreating}},
	}}}
	starting := runningPod("127.0.0.1", false)
	starting.ContainerStatuses[0].Started = new(false)
	bind := func(t *testing.T, pod *corev1.Pod) {
		binding := &corev1.Binding{Target: corev1.ObjectReference{Kind: "Node", Name: "node"}}
		if err := rig.admin.SubResource("binding").Create(t.Context(), pod, binding); err != nil {
			t.Fatal(err)
		}
		if err := rig.admin.Get(t.Context(), client.ObjectKeyFromObject(pod), pod); err != nil {
			t.Fatal(err)
		}
	}
	return []func(*testing.T, *corev1.Pod){
		bind, write(creating), write(starting), write(runningPod("127.0.0.1", false)), write(runningPod("127.0.0.1", true)),
	}
}
