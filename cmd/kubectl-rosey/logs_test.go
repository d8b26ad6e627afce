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
	out, problems := followLogs(t, path, "cut", "line 03")
	var want strings.Builder
	for _, line := range []string{"line 01.1", "line 01.2", "line 01.3", "li", "line 02", "line 03"} {
		fmt.Fprintf(&want, "%s/bot %s\n", pod, line)
	}
	if out != want.String() {
		t.Errorf("shown:\n%s\nwant:\n%s", out, &want)
	}
	for _, container := range []string{"bot", "mesh"} {
		if strings.Count(problems, "reading the log of "+pod+"/"+container) != 1 {
			t.Errorf("the failure to read %s is not said once:\n%s", container, problems)
		}
	}
}

// followLogs follows the logs of a RoseyBot until a text is shown or the test has failed, ends as with Ctrl-C, and
// returns what was shown.
func followLogs(t *testing.T, kubeconfig, bot, last string) (out, problems string) {
	t.Helper()
	app := newApp(streams{})
	stdout, stderr := &logtest.Buffer{}, &logtest.Buffer{}
	app.out, app.err = stdout, stderr
	app.flags.KubeConfig = &kubeconfig
	cluster, err := app.connect()
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	ended := make(chan error, 1)
	go func() {
		ended <- app.showLogs(ctx, cluster, bot, logOptions{follow: true, tail: -1, every: 20 * time.Millisecond})
	}()
	waitFor(t, func() bool { return t.Failed() || strings.Contains(stdout.String(), last) })
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	return stdout.String(), stderr.String()
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

// restart writes the state of a container that was started again as the kubelet would report it.
func restart(t *testing.T, pod, before, present string) {
	t.Helper()
	object := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: films, Name: pod}}
	if err := admin.Get(context.Background(), keyOf(object), object); err != nil {
		t.Error(err)
		return
	}
	container := &object.Status.ContainerStatuses[1]
	container.RestartCount++
	container.ContainerID = present
	container.State = corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: metav1.Now()}}
	container.LastTerminationState.Terminated = &corev1.ContainerStateTerminated{ContainerID: before, ExitCode: 1}
	if err := admin.Status().Update(context.Background(), object); err != nil {
		t.Error(err)
	}
}

// The node has the log of a container that was started again before the API server knows of it, and one that ends at
// once may have gone before. A rollout brings pods that have been started again already.
func TestFollowedLogsLoseAndRepeatNothingAcrossRestartsAndRollouts(t *testing.T) {
	needServer(t)
	t.Parallel()
	create(t, newBot("rolled"))
	pod := createLoggedPod(t, "rolled")
	// The containers of the first pod are a, b and c, those of the second one d and e.
	var requests, ofNewPod atomic.Int32
	path := inFront(t, func(w http.ResponseWriter, request *http.Request) bool {
		if !strings.HasSuffix(request.URL.Path, "/log") {
			return false
		}
		isPrevious := request.FormValue("previous") == "true"
		hold := func() {
			w.(http.Flusher).Flush()
			<-request.Context().Done()
		}
		switch {
		case request.FormValue("container") != "bot":
			hold()
		case strings.Contains(request.URL.Path, "/rolled-bot-2/"):
			if ofNewPod.Add(1) == 1 && isPrevious {
				_, _ = io.WriteString(w, logLines("08", "09"))
				return true
			}
			_, _ = io.WriteString(w, logLines("10"))
			hold()
		case requests.Add(1) == 1: // a, which ends
			_, _ = io.WriteString(w, logLines("01", "02"))
		case requests.Load() == 2: // b, which the API server does not know
			_, _ = io.WriteString(w, logLines("02.1", "03", "04"))
			restart(t, pod, "b", "c")
		case isPrevious:
			_, _ = io.WriteString(w, logLines("02.1", "03", "04", "05")+"2026-11-30T10:00:06Z no end")
		default:
			_, _ = io.WriteString(w, logLines("07"))
			if ofNewPod.Load() == 0 {
				if err := addPod(request.Context(), "rolled", "rolled-bot-2", status.BotComponent); err != nil {
					t.Error(err)
				}
				restart(t, "rolled-bot-2", "d", "e")
			}
			hold()
		}
		return true
	})
	out, problems := followLogs(t, path, "rolled", "line 10")
	want := ""
	for _, line := range []string{"line 01", "line 02", "line 02.1", "line 03", "line 04", "line 05", "no end"} {
		want += pod + "/bot " + line + "\n"
	}
	want += pod + "/bot line 07\n"
	for _, line := range []string{"line 08", "line 09", "line 10"} {
		want += "rolled-bot-2/bot " + line + "\n"
	}
	if out != want || problems != "" {
		t.Errorf("shown:\n%s%s\nwant:\n%s", out, problems, want)
	}
}

// Lines with the time of the last one before a log was cut off are shown, and none of them twice.
func TestLinesOfTheSameTimeAreShownOnce(t *testing.T) {
	t.Parallel()
	var read logPosition
	for _, text := range []string{"2026-11-30T10:00:01Z a", "2026-11-30T10:00:02Z b", "2026-11-30T10:00:02Z b"} {
		read = read.after(parseLogLine(text, read.at), text, false)
	}
	half := "2026-11-30T10:00:02Z hal"
	read = read.after(parseLogLine(half, read.at), half, true)
	known := read.again()
	for _, line := range []struct {
		text string
		want bool
	}{
		{"2026-11-30T10:00:01Z a", true}, {"2026-11-30T10:00:02Z b", true}, {"2026-11-30T10:00:02Z b", true},
		{half, true}, {"2026-11-30T10:00:02Z b", false}, {"2026-11-30T10:00:02Z half", false},
	} {
		if got := known(line.text); got != line.want {
			t.Errorf("%s: known: %t", line.text, got)
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
