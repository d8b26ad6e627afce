package e2e

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	_ "modernc.org/sqlite" // reads the version of a schema

	"rosey.dev/rosey/api/v1alpha1"
)

// An installation of an earlier version becomes one of this version, step by step, so that each version of the operator
// also meets the CRD of the other. No bot restarts by itself, people go on chatting, and every line is stored. Bots of
// this version meet the earlier operator, too, as after a rollback.
func TestAnUpgradeFromAnEarlierVersionRestartsNothingAndLosesNothing(t *testing.T) {
	needLocalCluster(t)
	earlier := earlierVersion(t)
	runLocalCluster(t, "load-image", filepath.Join(earlier, "operator.tar"), filepath.Join(earlier, "rosey.tar"))
	values := filepath.Join(t.TempDir(), "values.yaml")
	if err := os.WriteFile(values, []byte(helm(t, "get", "values", release, "--output", "yaml")), 0o600); err != nil {
		t.Fatal(err)
	}
	installed := false
	defer func() { // also for the tests that follow one that fails
		if !installed {
			installPresent(t, values, "--force-conflicts")
		}
	}()
	setUpdatePolicy(t, demoBot, v1alpha1.UpdateManual)
	defer setUpdatePolicy(t, demoBot, v1alpha1.UpdateAutomatic)
	waitReady(t, demoBot) // the operator of this version knows the policy
	present := identities(t, demoBot)

	t.Log("the earlier operator beside the CRD of this version")
	helm(t, "upgrade", release, filepath.Join(earlier, "chart"), "--reset-values", "--wait", "--timeout", "120s",
		"--set-string", "image.repository=rosey.local/operator,image.tag=earlier,runtime.image=rosey.local/rosey:earlier",
		"--set", "crds.install=false")
	// It leads now: the operator of this version may go on for a moment after the upgrade.
	waitFor(t, demoBot, v1alpha1.ConditionUpdateAvailable, metav1.ConditionTrue, v1alpha1.ReasonOperatorChanged)
	channel := cytubeChannel("elder")
	channel.join(t, "elsie")
	create(t, newBot("elder"))
	waitReady(t, "elder")
	operatorIsSteady(t)
	applyCRD(t, filepath.Join(earlier, "crd"))
	before := identities(t, "elder")
	schema := schemaOf(t, "elder")
	stopTalking := talk(t, channel, "elsie", 300*time.Millisecond)

	t.Log("the operator of this version beside the earlier CRD")
	installPresent(t, values, "--set", "crds.install=false")
	message := waitFor(t, "elder", v1alpha1.ConditionUpdateAvailable, metav1.ConditionTrue,
		v1alpha1.ReasonOperatorChanged)
	t.Log(message)
	waitReady(t, "elder")
	_, err := tool(t, "kubectl", "", "apply", "--dry-run=server", "--namespace", namespace,
		"-f", "config/samples/plugins.yaml")
	if err == nil || !strings.Contains(err.Error(), `unknown field "spec.plugins"`) {
		t.Errorf("a RoseyBot with a field that the CRD lacks: error is %v, want one that names the field", err)
	}
	operatorIsSteady(t)

	t.Log("this version alone, whose chart has the CRD again, which kubectl has applied before")
	installPresent(t, values, "--force-conflicts")
	installed = true
	waitFor(t, demoBot, v1alpha1.ConditionUpdateAvailable, metav1.ConditionFalse)
	waitFor(t, "elder", v1alpha1.ConditionUpdateAvailable, metav1.ConditionTrue, v1alpha1.ReasonOperatorChanged)
	stopTalking()
	sameChat(t, "elder", channel)
	sameIdentities(t, "elder", before)
	sameIdentities(t, demoBot, present)
	operatorIsSteady(t)

	// CyTube repeats 15 lines to a bot that comes back.
	stopTalking = talk(t, channel, "elsie", 2*time.Second)
	setUpdatePolicy(t, "elder", v1alpha1.UpdateAutomatic)
	waitFor(t, "elder", v1alpha1.ConditionUpdateAvailable, metav1.ConditionFalse)
	waitReady(t, "elder")
	stopTalking()
	lines := sameChat(t, "elder", channel)
	noRestarts(t, "elder")
	updated := schemaOf(t, "elder")
	if updated <= schema {
		t.Errorf("the schema has version %d, expected a later one than %d", updated, schema)
	}
	t.Logf("%d lines, schema from version %d to %d", lines, schema, updated)
}

// earlierVersion returns the directory with the chart, the CRD and the images of an earlier version.
func earlierVersion(t *testing.T) string {
	t.Helper()
	script := filepath.Join(repository, "hack/test/earlier")
	if reason, err := exec.CommandContext(t.Context(), script, "--check").CombinedOutput(); err != nil {
		t.Skip(string(reason))
	}
	build := exec.CommandContext(t.Context(), script)
	var problems strings.Builder
	build.Stderr = &problems
	out, err := build.Output()
	if err != nil {
		t.Fatalf("building an earlier version: %v\n%s", err, problems.String())
	}
	return strings.TrimSpace(string(out))
}

// installPresent upgrades the release to this version.
func installPresent(t *testing.T, values string, options ...string) {
	t.Helper()
	helm(t, append([]string{"upgrade", release, cluster.chart, "--values", values, "--wait",
		"--timeout", "120s"}, options...)...)
}

func setUpdatePolicy(t *testing.T, bot string, policy v1alpha1.UpdatePolicy) {
	t.Helper()
	kubectl(t, "patch", "roseybot", bot, "--type", "merge", "-p", fmt.Sprintf(`{"spec":{"updatePolicy":%q}}`, policy))
}

// applyCRD does what the page on upgrades says about CRDs that are managed separately.
func applyCRD(t *testing.T, directory string) {
	t.Helper()
	kubectl(t, "apply", "--server-side", "--force-conflicts", "-f", directory)
}

// operatorIsSteady fails if a container of the operator was restarted.
func operatorIsSteady(t *testing.T) {
	t.Helper()
	pods, err := podsLabelled(t.Context(), operatorNamespace, "app.kubernetes.io/name", "rosey-operator")
	if err != nil {
		t.Fatal(err)
	}
	if len(pods) == 0 {
		t.Error("the operator has no pods")
	}
	for _, pod := range pods {
		for _, container := range pod.Status.ContainerStatuses {
			if container.RestartCount != 0 {
				t.Errorf("pod %s restarted %d times: %+v", pod.Name, container.RestartCount, container.LastTerminationState)
			}
		}
	}
}

// talk lets a user say something again and again, until the returned function is called.
func talk(t *testing.T, channel cytubeChannel, user string, pause time.Duration) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var talking sync.WaitGroup
	talking.Go(func() {
		for line := 1; ctx.Err() == nil; line++ {
			if err := channel.trySay(t.Context(), user, fmt.Sprintf("line %d, every %s", line, pause)); err != nil {
				t.Error(err)
			}
			select {
			case <-ctx.Done():
			case <-time.After(pause):
			}
		}
	})
	stop = sync.OnceFunc(func() {
		cancel()
		talking.Wait()
	})
	t.Cleanup(stop)
	return stop
}

// schemaOf returns the version of the schema of a bot's database, from a backup of it.
func schemaOf(t *testing.T, bot string) (version int) {
	t.Helper()
	pods, err := podsLabelled(t.Context(), namespace, "rosey.dev/roseybot", bot)
	if err != nil {
		t.Fatal(err)
	}
	backup := filepath.Join(t.TempDir(), "backup.db")
	for _, pod := range pods {
		if pod.Labels["app.kubernetes.io/component"] != "database" || pod.DeletionTimestamp != nil {
			continue
		}
		content, err := runIn(t.Context(), namespace, pod.Name,
			"rosey", "db", "backup", "-", "--config", "/etc/rosey/database.yaml")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(backup, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	db, err := sql.Open("sqlite", backup)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	err = db.QueryRowContext(t.Context(), "SELECT MAX(version_id) FROM goose_db_version").Scan(&version)
	if err != nil {
		t.Fatalf("the schema of RoseyBot %s: %v", bot, err)
	}
	return version
}
