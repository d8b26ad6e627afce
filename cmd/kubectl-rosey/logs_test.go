package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"rosey.dev/rosey/runtime/exit"
	"rosey.dev/rosey/runtime/status"
	"rosey.dev/rosey/test/logtest"
)

// createLoggedPod creates a pod whose containers run.
func createLoggedPod(t *testing.T, bot string) (pod string) {
	t.Helper()
	pod = bot + "-bot-1"
	createPod(t, bot, pod, status.BotComponent)
	object := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: films, Name: pod}}
	if err := admin.Get(t.Context(), keyOf(object), object); err != nil {
		t.Fatal(err)
	}
	for i := range object.Status.ContainerStatuses {
		object.Status.ContainerStatuses[i].State.Running = &corev1.ContainerStateRunning{StartedAt: metav1.Now()}
	}
	if err := admin.Status().Update(t.Context(), object); err != nil {
		t.Fatal(err)
	}
	return pod
}

// logLines returns lines of a log, each with a second of the same minute.
func logLines(seconds ...string) (text string) {
	for _, second := range seconds {
		text += "2026-11-30T10:00:" + second + "Z line " + second + "\n"
	}
	return text
}

// A load balancer or an API server that is restarted cuts off logs that are followed. They go on where they were cut
// off, what fails is said, and no line is lost or shown twice.
func TestFollowedLogsGoOnAfterTheyWereCutOff(t *testing.T) {
	needServer(t)
	t.Parallel()
	create(t, newBot("cut"))
	pod := createLoggedPod(t, "cut")
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var requests atomic.Int32
	path := inFront(t, func(w http.ResponseWriter, request *http.Request) bool {
		if !strings.HasSuffix(request.URL.Path, "/pods/"+pod+"/log") {
			return false
		}
		if request.FormValue("container") != "bot" {
			refuse(w, http.StatusBadRequest, metav1.StatusReasonBadRequest)
			return true
		}
		since := request.FormValue("sinceTime")
		switch count := requests.Add(1); count {
		case 1:
			_, _ = io.WriteString(w, logLines("01.1", "01.2"))
		case 2:
			refuse(w, http.StatusInternalServerError, metav1.StatusReasonInternalError)
		case 3:
			if since != "2026-11-30T10:00:01Z" {
				t.Errorf("it goes on after %q", since)
			}
			_, _ = io.WriteString(w, logLines("01.1", "01.2", "01.3")+"2026-11-30T10:00:02Z li")
		default:
			_, _ = io.WriteString(w, logLines("01.1", "01.2", "01.3", "02", "03"))
			w.(http.Flusher).Flush()
			<-request.Context().Done()
		}
		return true
	})
	app := newApp(streams{})
	out, problems := &logtest.Buffer{}, &logtest.Buffer{}
	app.out, app.err = out, problems
	app.flags.KubeConfig = &path
	cluster, err := app.connect()
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() {
		ended <- app.showLogs(ctx, cluster, "cut", logOptions{follow: true, tail: -1, every: 20 * time.Millisecond})
	}()
	waitFor(t, func() bool { return strings.Contains(out.String(), "line 03") })
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	var want strings.Builder
	for _, line := range []string{"line 01.1", "line 01.2", "line 01.3", "li", "line 02", "line 03"} {
		fmt.Fprintf(&want, "%s/bot %s\n", pod, line)
	}
	if out.String() != want.String() {
		t.Errorf("shown:\n%s\nwant:\n%s", out, &want)
	}
	for _, container := range []string{"bot", "mesh"} {
		if strings.Count(problems.String(), "reading the log of "+pod+"/"+container) != 1 {
			t.Errorf("the failure to read %s is not said once:\n%s", container, problems)
		}
	}
}

// waitFor waits until something is so.
func waitFor(t *testing.T, so func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !so(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it has not become so")
		}
	}
}

// Whoever may not read logs is told so, and does not wait for lines that never come.
func TestFollowingLogsWithoutTheRightEnds(t *testing.T) {
	needServer(t)
	t.Parallel()
	create(t, newBot("unseen"))
	createLoggedPod(t, "unseen")
	rights := []right{getBots, listPods}
	grant(t, "log-follower", rights)
	waitGranted(t, "log-follower", rights)
	code, out, stderr := call(t, "logs", "unseen", "-f", "--as", "log-follower")
	if code != exit.Failure || !strings.Contains(stderr, "you lack the right to get pods/log") {
		t.Errorf("exit code %d, %s%s", code, out, stderr)
	}
}
