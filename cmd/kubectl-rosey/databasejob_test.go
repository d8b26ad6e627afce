package main

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"rosey.dev/rosey/api/v1alpha1"
	"rosey.dev/rosey/controllers/manifests"
	"rosey.dev/rosey/runtime/exit"
)

// restoreRig is a RoseyBot whose database is replaced, with a server that answers as the cluster around it would.
type restoreRig struct {
	t    *testing.T
	bot  *v1alpha1.RoseyBot
	stop context.CancelFunc
	// readJob, createJob and listPods answer requests, or report false. The count of readJob begins with 1 and is that of
	// the requests after the Job was created.
	readJob   func(w http.ResponseWriter, count int) bool
	createJob func(w http.ResponseWriter) bool
	listPods  func(w http.ResponseWriter) bool
	// waiting answers the request that waits for the end of the pods.
	waiting func(w http.ResponseWriter) bool
	// losesPatch says that the RoseyBot is suspended, and the answer is an error. wasSuspended: it is so before.
	losesPatch, wasSuspended bool

	created  atomic.Bool
	jobReads atomic.Int32
	botReads atomic.Int32
}

func (r *restoreRig) jobName() string { return r.bot.Name + "-db-restore" }

// answer is what inFront takes.
func (r *restoreRig) answer(w http.ResponseWriter, request *http.Request) bool {
	path := request.URL.Path
	switch {
	case request.Method == http.MethodGet && strings.HasSuffix(path, "/roseybots/"+r.bot.Name):
		return r.readBot(w)
	case request.Method == http.MethodPatch && r.losesPatch:
		r.losesPatch = false
		patch := client.RawPatch(types.MergePatchType, []byte(`{"spec":{"suspend":true}}`))
		if err := admin.Patch(context.Background(), r.bot.DeepCopy(), patch); err != nil {
			r.t.Error(err)
		}
		refuse(w, http.StatusGatewayTimeout, metav1.StatusReasonTimeout)
		return true
	case request.Method == http.MethodPost && strings.HasSuffix(path, "/jobs"):
		r.created.Store(true)
		return r.createJob != nil && r.createJob(w)
	case request.Method == http.MethodGet && strings.HasSuffix(path, "/jobs/"+r.jobName()) && r.created.Load():
		return r.readJob(w, int(r.jobReads.Add(1)))
	case request.Method == http.MethodGet && strings.HasSuffix(path, "/pods"):
		if !strings.Contains(request.FormValue("labelSelector"), batchv1.ControllerUidLabel+"=") {
			r.t.Errorf("pods of an earlier Job with the same name are selected too: %s", request.URL.RawQuery)
		}
		return r.listPods != nil && r.listPods(w)
	}
	return false
}

// readBot does what the operator does with a RoseyBot that is suspended. The second request fails.
func (r *restoreRig) readBot(w http.ResponseWriter) bool {
	if count := r.botReads.Add(1); count > 1 && r.waiting != nil {
		return r.waiting(w)
	} else if count == 2 {
		refuse(w, http.StatusServiceUnavailable, metav1.StatusReasonServiceUnavailable)
		return true
	}
	bot := r.bot.DeepCopy()
	if err := admin.Get(context.Background(), keyOf(bot), bot); err != nil {
		r.t.Error(err)
	}
	if bot.Spec.Suspend == nil || !*bot.Spec.Suspend {
		return false
	}
	bot.Status.Conditions = []metav1.Condition{{
		Type: v1alpha1.ConditionReady, Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonSuspended, Message: "suspended",
		ObservedGeneration: bot.Generation, LastTransitionTime: metav1.Now(),
	}}
	if err := admin.Status().Update(context.Background(), bot); err != nil {
		r.t.Error(err)
	}
	return false
}

// jobEnds answers with a Job that has ended.
func (r *restoreRig) jobEnds(w http.ResponseWriter, condition batchv1.JobConditionType) bool {
	answer(w, http.StatusOK, fmt.Sprintf(`{"apiVersion":"batch/v1","kind":"Job","metadata":{"name":%q},
		"status":{"conditions":[{"type":%q,"status":"True","reason":"BackoffLimitExceeded"}]}}`, r.jobName(), condition))
	return true
}

// run restores a backup, and reports whether the RoseyBot is suspended afterwards.
func (r *restoreRig) run(name string, from ...string) (code int, stderr string, suspended bool) {
	t := r.t
	t.Helper()
	r.bot = newBot(name)
	if r.wasSuspended {
		r.bot.Spec.Suspend = new(true)
	}
	create(t, r.bot)
	desired, err := manifests.Build(r.bot, manifests.Params{Image: "rosey:1"}, manifests.Observed{})
	if err != nil {
		t.Fatal(err)
	}
	for _, next := range desired {
		if deployment, ok := next.Object.(*appsv1.Deployment); ok && deployment.Name == name+"-db" {
			create(t, deployment)
		}
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	r.stop = stop
	arguments := append([]string{"restore", name, "--yes"}, from...)
	code, _, problems := callThrough(ctx, inFront(t, r.answer), arguments...)
	if err := admin.Get(t.Context(), keyOf(r.bot), r.bot); err != nil {
		t.Fatal(err)
	}
	return code, problems.String(), r.bot.Spec.Suspend != nil && *r.bot.Spec.Suspend
}

// An API server that is away for a moment is no end: the Job goes on, and the RoseyBot has to start after it.
func TestRestoreGoesOnWhenTheAPIServerIsAwayForAMoment(t *testing.T) {
	needServer(t)
	t.Parallel()
	r := &restoreRig{t: t}
	r.readJob = func(w http.ResponseWriter, count int) bool {
		switch count {
		case 1:
			refuse(w, http.StatusInternalServerError, metav1.StatusReasonInternalError)
		case 2:
			refuse(w, http.StatusTooManyRequests, metav1.StatusReasonTooManyRequests)
		case 3:
			panic(http.ErrAbortHandler) // the connection is closed without an answer
		default:
			return r.jobEnds(w, batchv1.JobComplete)
		}
		return true
	}
	code, stderr, suspended := r.run("flaky", "--made", "/x.db")
	if code != exit.Clean || suspended || !strings.Contains(stderr, "trying again") {
		t.Errorf("exit code %d, suspended: %t\n%s", code, suspended, stderr)
	}
	job := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Namespace: films, Name: r.jobName()}}
	err := admin.Get(t.Context(), client.ObjectKeyFromObject(job), job)
	if err == nil && job.DeletionTimestamp == nil || err != nil && !apierrors.IsNotFound(err) {
		t.Errorf("the Job that is done is still there: %v", err)
	}
}

// What ends a wait at once is that the Job cannot be read at all.
func TestRestoreEndsWhenTheJobIsRemoved(t *testing.T) {
	needServer(t)
	t.Parallel()
	r := &restoreRig{t: t, readJob: func(w http.ResponseWriter, _ int) bool {
		refuse(w, http.StatusNotFound, metav1.StatusReasonNotFound)
		return true
	}}
	code, stderr, suspended := r.run("removed", "--made", "/x.db")
	if code != exit.Failure || !suspended || !strings.Contains(stderr, "removed stays suspended, since Job") {
		t.Errorf("exit code %d, suspended: %t\n%s", code, suspended, stderr)
	}
}

func TestJobThatIsRefusedLeavesNothingSuspended(t *testing.T) {
	needServer(t)
	t.Parallel()
	r := &restoreRig{t: t, createJob: func(w http.ResponseWriter) bool {
		refuse(w, http.StatusForbidden, metav1.StatusReasonForbidden) // a quota, for example
		return true
	}}
	code, stderr, suspended := r.run("refused", "--made", "/x.db")
	if code != exit.Failure || suspended || strings.Contains(stderr, "stays suspended") ||
		!strings.Contains(stderr, "creating Job refused-db-restore") {
		t.Errorf("exit code %d, suspended: %t\n%s", code, suspended, stderr)
	}
}

// Before the Job is created nothing has happened to the database, so the RoseyBot runs as before.
func TestRestoreThatEndsBeforeItsJobLeavesNothingSuspended(t *testing.T) {
	needServer(t)
	t.Parallel()
	t.Run("interrupted", func(t *testing.T) {
		t.Parallel()
		r := &restoreRig{t: t}
		r.waiting = func(http.ResponseWriter) bool {
			r.stop()
			return false
		}
		code, stderr, suspended := r.run("early", "--made", "/x.db")
		if code != exit.Failure || suspended || r.created.Load() || strings.Contains(stderr, "stays suspended") ||
			!strings.Contains(stderr, "interrupted while waiting for the end of the pods") ||
			!strings.Contains(stderr, "starting early again") {
			t.Errorf("exit code %d, suspended: %t\n%s", code, suspended, stderr)
		}
	})
	t.Run("the answer is lost", func(t *testing.T) {
		t.Parallel()
		r := &restoreRig{t: t, losesPatch: true}
		code, stderr, suspended := r.run("lost", "--made", "/x.db")
		if code != exit.Failure || suspended || r.created.Load() || !strings.Contains(stderr, "starting lost again") {
			t.Errorf("exit code %d, suspended: %t\n%s", code, suspended, stderr)
		}
	})
}

// After a restore that was interrupted the RoseyBot is suspended, and so it is when the restore is repeated.
func TestRestoreOfASuspendedBotSaysHowToStartIt(t *testing.T) {
	needServer(t)
	t.Parallel()
	r := &restoreRig{t: t, wasSuspended: true}
	r.readJob = func(w http.ResponseWriter, _ int) bool { return r.jobEnds(w, batchv1.JobComplete) }
	code, stderr, suspended := r.run("repeated", "--made", "/x.db")
	want := "repeated was suspended before, and stays so. Start it with\nkubectl patch"
	if !suspended || !strings.Contains(stderr, want) {
		t.Errorf("exit code %d, suspended: %t\n%s", code, suspended, stderr)
	}
}

func TestInterruptedRestoreSaysWhatIsLeft(t *testing.T) {
	needServer(t)
	t.Parallel()
	t.Run("while the Job runs", func(t *testing.T) {
		t.Parallel()
		r := &restoreRig{t: t}
		r.readJob = func(http.ResponseWriter, int) bool {
			r.stop()
			return false
		}
		code, stderr, suspended := r.run("interrupted", "--made", "/x.db")
		if code != exit.Failure || !suspended || strings.Contains(stderr, "not within") ||
			!strings.Contains(stderr, "interrupted while waiting for the end of Job") ||
			!strings.Contains(stderr, "interrupted stays suspended") {
			t.Errorf("exit code %d, suspended: %t\n%s", code, suspended, stderr)
		}
	})
	t.Run("after its end", func(t *testing.T) {
		t.Parallel()
		r := &restoreRig{t: t}
		r.readJob = func(w http.ResponseWriter, _ int) bool { return r.jobEnds(w, batchv1.JobComplete) }
		r.listPods = func(http.ResponseWriter) bool {
			r.stop()
			return false
		}
		code, stderr, suspended := r.run("late", "--made", "/x.db")
		if code != exit.Failure || suspended || !strings.Contains(stderr, "starting late again") {
			t.Errorf("exit code %d, suspended: %t\n%s", code, suspended, stderr)
		}
	})
}

// Whoever removes the pod or the Job after its end has not undone the restore. That nothing shows the log is said.
func TestRestoreIsDoneIfItsPodAndItsJobAreRemovedAfterTheEnd(t *testing.T) {
	needServer(t)
	t.Parallel()
	r := &restoreRig{t: t}
	r.readJob = func(w http.ResponseWriter, _ int) bool { return r.jobEnds(w, batchv1.JobComplete) }
	r.listPods = func(http.ResponseWriter) bool { // there are none
		job := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Namespace: films, Name: r.jobName()}}
		err := admin.Delete(context.Background(), job, client.PropagationPolicy(metav1.DeletePropagationBackground))
		if err != nil {
			t.Error(err)
		}
		return false
	}
	code, stderr, suspended := r.run("tidied", "--made", "/x.db")
	want := "Job tidied-db-restore is done: its pod is gone, and its log with it"
	if code != exit.Clean || suspended || !strings.Contains(stderr, want) {
		t.Errorf("exit code %d, suspended: %t, want %q in\n%s", code, suspended, want, stderr)
	}
}

// A Job that has got half of its input fails with "truncated": what cut it off is the cause.
func TestFailedJobSaysWhyItsInputWasNotSent(t *testing.T) {
	needServer(t)
	t.Parallel()
	r := &restoreRig{t: t}
	r.readJob = func(w http.ResponseWriter, _ int) bool { return r.jobEnds(w, batchv1.JobFailed) }
	r.listPods = func(w http.ResponseWriter) bool {
		answer(w, http.StatusOK, `{"apiVersion":"v1","kind":"PodList","items":[{"metadata":{"name":"p","namespace":"films"},
			"spec":{"containers":[{"name":"rosey"}]},"status":{"phase":"Failed","message":"evicted"}}]}`)
		return true
	}
	code, stderr, suspended := r.run("unsent", sqliteFile(t))
	for _, want := range []string{
		"Job unsent-db-restore has failed (BackoffLimitExceeded): reading the log of Job unsent-db-restore",
		"Before you try again: `kubectl delete job unsent-db-restore`", "pod p has failed: evicted",
	} {
		if code != exit.Failure || suspended || !strings.Contains(stderr, want) {
			t.Errorf("exit code %d, suspended: %t, want %q in\n%s", code, suspended, want, stderr)
		}
	}
}

// A pod that was removed has no log any more.
func TestFailedJobWithoutPodSaysSo(t *testing.T) {
	needServer(t)
	t.Parallel()
	r := &restoreRig{t: t}
	r.readJob = func(w http.ResponseWriter, _ int) bool { return r.jobEnds(w, batchv1.JobFailed) }
	code, stderr, suspended := r.run("podless-job", "--made", "/x.db")
	want := "(BackoffLimitExceeded): its pod is gone, and its log with it"
	if code != exit.Failure || suspended || !strings.Contains(stderr, want) {
		t.Errorf("exit code %d, suspended: %t, want %q in\n%s", code, suspended, want, stderr)
	}
}
