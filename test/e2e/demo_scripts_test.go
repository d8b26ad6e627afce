package e2e

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"

	"rosey.dev/rosey/runtime/bus/natstest"
)

// demoScript returns a command that executes statements with functions of the demo, whose files are in a directory.
func demoScript(t *testing.T, state, statements string) *exec.Cmd {
	t.Helper()
	command := script(t, state, "cluster_name=test; own_cluster=yes; "+statements, "demo/lib/say.sh", "demo/lib/run.sh",
		"demo/lib/request.sh", "demo/lib/processes.sh", "demo/lib/takeover.sh")
	command.Env = append(command.Env, "XDG_STATE_HOME="+state)
	return command
}

// killAfterStart kills the shell as soon as it has started something in the background, before its next statement.
const killAfterStart = `set() { [ "$1" != +m ] || kill -KILL "$$"; builtin set "$@"; }; `

// awaitDemo waits until a condition holds.
func awaitDemo(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !condition(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waiting for: %s", what)
		}
	}
}

// The next demo said that its ports were in use, and `make demo-down` removed the files and left the process.
func TestAProcessOfADemoThatIsKilledAtOnceIsFound(t *testing.T) {
	t.Parallel()
	state := t.TempDir()
	program, err := exec.LookPath("sleep")
	if err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(program)
	if err != nil {
		t.Fatal(err)
	}
	directory := filepath.Join(state, "rosey/demo")
	if err := os.MkdirAll(directory, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(directory, "sleep"), content, 0o700); err != nil {
		t.Fatal(err)
	}
	start := killAfterStart + `start_process cytube "$processes/sleep" 60`
	if err := demoScript(t, state, start).Run(); err == nil {
		t.Fatal("the demo was not killed: this test showed nothing")
	}
	awaitDemo(t, "the process", func() bool { return len(processesOf(t, directory)) == 1 })
	if output, err := demoScript(t, state, "processes_stop").CombinedOutput(); err != nil {
		t.Errorf("stopping: %v\n%s", err, output)
	}
	if left := processesOf(t, directory); len(left) > 0 {
		t.Errorf("it still runs: %v", left)
	}
}

func TestTheGroupOfADemoThatIsKilledAtOnceIsFound(t *testing.T) {
	t.Parallel()
	state := t.TempDir()
	if err := demoScript(t, state, killAfterStart+"supervise sleep 60").Run(); err == nil {
		t.Fatal("the demo was not killed: this test showed nothing")
	}
	var parent, group int
	run := filepath.Join(state, "rosey/run-test")
	awaitDemo(t, "the group's note", func() bool {
		note, err := os.ReadFile(run)
		if err != nil || !strings.HasSuffix(string(note), "\n") {
			return false
		}
		_, err = fmt.Sscan(string(note), &parent, &group)
		return err == nil
	})
	if output, err := demoScript(t, state, "end_other_run").CombinedOutput(); err != nil {
		t.Errorf("ending it: %v\n%s", err, output)
	}
	if err := syscall.Kill(-group, 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("its group %d still runs: %v", group, err)
	}
	if _, err := os.Stat(run); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("its note is left: %v", err)
	}
}

// What the processes have not stored yet would be lost when the cluster takes over. The service's metrics, which are up
// to ten seconds old, said that there was nothing, and so did a request that failed.
func TestEventsThatWaitAreCounted(t *testing.T) {
	t.Parallel()
	port := 1 // on which nobody listens
	waiting := func(processes string) string {
		t.Helper()
		statements := fmt.Sprintf("running_process() { %s; }; nats_monitoring_port=%d; waiting_events", processes, port)
		output, err := demoScript(t, t.TempDir(), statements).CombinedOutput()
		if err != nil {
			t.Errorf("counting: %v\n%s", err, output)
		}
		return string(output)
	}
	if count := waiting("false"); count != "0\n" {
		t.Errorf("no process runs, and %q events wait", count)
	}
	if count := waiting("true"); count != "" {
		t.Errorf("NATS does not answer, and %q events wait", count)
	}
	nats := natstest.Start(t, natstest.JetStream(t), func(options *server.Options) {
		options.HTTPHost, options.HTTPPort = "127.0.0.1", server.RANDOM_PORT
	})
	port = nats.MonitoringPort()
	js, err := jetstream.New(nats.Client())
	if err != nil {
		t.Fatal(err)
	}
	stream, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "events", Subjects: []string{"events"}})
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if _, err := js.Publish(t.Context(), "events", nil); err != nil {
			t.Fatal(err)
		}
	}
	if count := waiting("true"); count != "" {
		t.Errorf("there is no service, and %q events wait", count)
	}
	consumer, err := stream.CreateConsumer(t.Context(), jetstream.ConsumerConfig{
		Durable: "service", AckPolicy: jetstream.AckExplicitPolicy,
	})
	if err != nil {
		t.Fatal(err)
	}
	first, err := consumer.Next()
	if err != nil {
		t.Fatal(err)
	}
	if count := waiting("true"); count != "3\n" {
		t.Errorf("one of three events was delivered, none is stored, and %q wait", count)
	}
	if err := first.DoubleAck(t.Context()); err != nil {
		t.Fatal(err)
	}
	if count := waiting("true"); count != "2\n" {
		t.Errorf("one of three events is stored, and %q wait", count)
	}
}

// The log of a job that failed was not shown, and a connection that ended late failed the demo although the rows were
// there.
func TestARestoreThatFailsSaysWhy(t *testing.T) {
	t.Parallel()
	const kubectl = `namespace=demo; mkdir -p "$processes"; : >"$processes/backup.db"
rosey() { case $1:$2 in db:backup) : >"$3" ;; esac; }
kubectl() { case $3 in
  get) case $4 in job) echo "SuccessCriteriaMet $END" ;; esac ;;
  attach) echo "connection reset" >&2; return 1 ;;
  logs) echo "the backup is damaged" ;;
esac; }
restore_rows`
	for end, fails := range map[string]bool{"Complete": false, "Failed": true} {
		command := demoScript(t, t.TempDir(), kubectl)
		command.Env = append(command.Env, "END="+end)
		output, err := command.CombinedOutput()
		if said := strings.Contains(string(output), "the backup is damaged"); (err != nil) != fails || said != fails {
			t.Errorf("a job that ends with %s: %v, it said %q", end, err, output)
		}
	}
}

// What cannot be shown early ended the whole demo, although the cluster would have worked.
func TestTheDemoGoesOnWithoutWhatItShowsEarly(t *testing.T) {
	t.Parallel()
	const works = `repo=.; for step in require_free_ports use_build_flags compile start_process wait_until_ready chat_on \
  show_first_line; do eval "$step() { :; }"; done; `
	const start = `; start_early_processes; echo "the cluster is started; ${PROGRESS_ALSO-nothing is shown}"`
	for step, want := range map[string]string{
		"":                   "the cluster is started; stored_lines\n",
		"require_free_ports": "the cluster is started; nothing is shown\n",
		"compile":            "the cluster is started; nothing is shown\n",
		"wait_until_ready":   "the cluster is started; nothing is shown\n",
		"chat_on":            "the cluster is started; nothing is shown\n",
		"show_first_line":    "the cluster is started; nothing is shown\n",
	} {
		fails := ":"
		if step != "" {
			fails = step + "() { return 1; }"
		}
		output, err := demoScript(t, t.TempDir(), works+fails+start).CombinedOutput()
		if err != nil || !strings.HasSuffix(string(output), want) {
			t.Errorf("without %q: %v, it said\n%s", step, err, output)
		}
	}
}
