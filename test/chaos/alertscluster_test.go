package chaos

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"rosey.dev/rosey/api/v1alpha1"
	"rosey.dev/rosey/runtime/backoff"
	"rosey.dev/rosey/runtime/status"
)

const (
	operatorNamespace = "rosey-system" // as in hack/demo
	operatorRelease   = "rosey-operator"
	secondResource    = "second" // the RoseyBot in testdata/second.yaml
)

// The causes of alerts about RoseyBots and about the operator are made on a real cluster with a real Prometheus, whose
// copy of the rules has shorter times. Before that, while people chat, none fires.
func TestAlertsOnACluster(t *testing.T) {
	if os.Getenv("ROSEY_CHAOS_ALERTS") == "" || os.Getenv("ROSEY_E2E") != "local-cluster" {
		t.Skip("takes minutes and needs a local cluster: make chaos SETUPS=cluster-alerts")
	}
	world, err := StartCluster(t.Context(), "../..", Build(t).Rosey, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(world.Close)
	for _, step := range [][]string{
		{"apply", "-f", filepath.Join(world.repository, "test/chaos/testdata/second.yaml")},
		// Otherwise the trial of RoseyBotUpdateWaits would replace its pods.
		{"patch", "roseybot", botResource, "--type=merge", "--patch", `{"spec":{"updatePolicy":"Manual"}}`},
		{"wait", "roseybot/" + botResource, "roseybot/" + secondResource, "--for=condition=Ready", "--timeout=300s"},
	} {
		if err := world.kube(t.Context(), "", step...); err != nil {
			t.Fatal(err)
		}
	}
	watch := startClusterWatch(t, world)
	chatting, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	world.cytube.Chat(chatting, 1, 200*time.Millisecond)
	const heard = `sum(increase(rosey_cytube_events_total{event="chatMsg"}[1m])) > 50`
	if err := watch.shows(t.Context(), heard); err != nil {
		t.Fatal(err)
	}
	if fired, err := watch.everFired(t.Context()); err != nil || len(fired) > 0 {
		t.Fatalf("while nothing was wrong, these alerts fired: %v (%v)", fired, err)
	}
	for _, each := range world.trials() {
		eventually(t, "both RoseyBots are ready", world.allReady)
		watch.try(t, each)
	}
}

// trials returns the causes of alerts. What is known of a RoseyBot counts for some time, so the one that has an owner
// of its own is not the one whose database is away.
func (c *Cluster) trials() []trial {
	const (
		server = "http://cytube.demo.svc.cluster.local:8880"
		nats   = "nats://durable-nats.demo.svc.cluster.local:4222"
	)
	of := func(name, owner string) map[string]string {
		return map[string]string{"namespace": namespace, "name": name, "owner": owner, "cause": ""}
	}
	lost := trial{
		"RoseyMessagesLost", []map[string]string{of(botResource, "platform")},
		func(ctx context.Context) error {
			if err := c.scale(ctx, namespace, "statefulset/durable-nats", 0); err != nil {
				return err
			}
			if err := c.kube(ctx, "", "wait", "pod/"+natsPod, "--for=delete", "--timeout=60s"); err != nil {
				return err
			}
			return c.flood(ctx)
		},
		c.scaling(namespace, "statefulset/durable-nats", 1),
	}
	return []trial{
		{
			"RoseyBotDatabaseUnavailable", []map[string]string{of(botResource, "platform")},
			c.scaling(namespace, "statefulset/postgres", 0), c.scaling(namespace, "statefulset/postgres", 1),
		}, {
			"RoseyBotNotReady", []map[string]string{of(secondResource, "channel")},
			c.patching(`{"spec":{"account":{"passwordSecretRef":{"name":"absent","key":"password"}}}}`),
			c.patching(`{"spec":{"account":{"passwordSecretRef":null}}}`),
		}, {
			"RoseyCyTubeUnavailable", []map[string]string{{"server": server, "owner": "platform"}},
			c.scaling(namespace, "deployment/cytube", 0), c.scaling(namespace, "deployment/cytube", 1),
		}, {
			"RoseyNATSUnavailable", []map[string]string{{"nats": nats, "owner": "platform"}},
			c.scaling(namespace, "statefulset/durable-nats", 0), c.scaling(namespace, "statefulset/durable-nats", 1),
		},
		lost, {
			"RoseyOperatorErrors", []map[string]string{{"owner": "platform"}},
			func(ctx context.Context) error {
				if err := c.bindOperator(ctx, "nobody"); err != nil {
					return err
				}
				return c.patching(`{"spec":{"logLevel":"debug"}}`)(ctx) // there is something to write
			},
			func(ctx context.Context) error { return c.bindOperator(ctx, operatorRelease) },
		}, {
			"RoseyBotUpdateWaits",
			[]map[string]string{of(botResource, "channel"), of(secondResource, "channel")},
			func(ctx context.Context) error {
				return c.helm(ctx, "upgrade", operatorRelease, "charts/rosey-operator", "--reuse-values", "--wait",
					"--timeout=120s", "--set", "runtime.image=rosey.local/rosey:from-tomorrow")
			},
			func(ctx context.Context) error {
				return c.helm(ctx, "rollback", operatorRelease, "--wait", "--timeout=120s")
			},
		}, {
			"RoseyOperatorAbsent", []map[string]string{{"owner": "platform"}},
			c.scaling(operatorNamespace, "deployment/rosey-operator", 0),
			c.scaling(operatorNamespace, "deployment/rosey-operator", 1),
		},
	}
}

func (c *Cluster) scale(ctx context.Context, namespace, workload string, replicas int) error {
	return c.kube(ctx, "", "scale", workload, "--namespace", namespace, "--replicas="+strconv.Itoa(replicas))
}

func (c *Cluster) scaling(namespace, workload string, replicas int) func(context.Context) error {
	return func(ctx context.Context) error { return c.scale(ctx, namespace, workload, replicas) }
}

// patching returns a function that changes the second RoseyBot.
func (c *Cluster) patching(patch string) func(context.Context) error {
	return func(ctx context.Context) error {
		return c.kube(ctx, "", "patch", "roseybot", secondResource, "--type=merge", "--patch", patch)
	}
}

// flood says more lines than a bot keeps in memory.
func (c *Cluster) flood(ctx context.Context) error {
	const user, lines = "flood", 11_000
	if err := c.cytube.Join(ctx, user); err != nil {
		return err
	}
	for i := range lines {
		if err := c.cytube.Say(ctx, user, fmt.Sprint("line ", i)); err != nil {
			return err
		}
	}
	return c.cytube.Leave(ctx, user)
}

// bindOperator gives the permissions of the operator to a ServiceAccount of its namespace.
func (c *Cluster) bindOperator(ctx context.Context, account string) error {
	bindings := &rbacv1.ClusterRoleBindingList{}
	if err := c.client.List(ctx, bindings, client.MatchingLabels{"app.kubernetes.io/name": operatorRelease}); err != nil {
		return fmt.Errorf("finding the permissions of the operator: %w", err)
	}
	if len(bindings.Items) != 1 || len(bindings.Items[0].Subjects) != 1 {
		return fmt.Errorf("the operator has %d ClusterRoleBindings, expected one with one subject", len(bindings.Items))
	}
	binding := &bindings.Items[0]
	binding.Subjects[0].Name = account
	if err := c.client.Update(ctx, binding); err != nil {
		return fmt.Errorf("changing the permissions of the operator: %w", err)
	}
	return nil
}

// helm runs helm for the release of the operator.
func (c *Cluster) helm(ctx context.Context, args ...string) error {
	args = append(args, "--kubeconfig", c.kubeconfig, "--namespace", operatorNamespace)
	command := exec.CommandContext(ctx, filepath.Join(filepath.Dir(c.kubectl), "helm"), args...)
	command.Dir = c.repository
	if out, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("helm %s: %w: %s", args[0], err, out)
	}
	return nil
}

// allReady returns an error unless every RoseyBot is Ready.
func (c *Cluster) allReady(ctx context.Context) error {
	bots := &v1alpha1.RoseyBotList{}
	if err := c.client.List(ctx, bots, client.InNamespace(namespace)); err != nil {
		return fmt.Errorf("listing RoseyBots: %w", err)
	}
	for _, bot := range bots.Items {
		ready := meta.FindStatusCondition(bot.Status.Conditions, v1alpha1.ConditionReady)
		if ready == nil || ready.Status != metav1.ConditionTrue || ready.ObservedGeneration != bot.Generation {
			return fmt.Errorf("RoseyBot %s is not ready: %+v", bot.Name, ready)
		}
	}
	return nil
}

// watchPort is the port of Prometheus on loopback in the cluster's network, where nothing else listens there.
const watchPort = "19090"

// startClusterWatch starts a Prometheus in the cluster's network that scrapes the pods of the operator and of all
// RoseyBots each second, with the labels of the chart's PodMonitors.
func startClusterWatch(t *testing.T, c *Cluster) *watch {
	t.Helper()
	dir := t.TempDir()
	// A reconcile that fails is tried again after up to 30 s, and the rate of errors must not fall to 0 in between.
	rules := scale(chartRules(t), 12, 60)
	program, arguments := prometheus(t, dir, rules, "- job_name: pods\n  honor_labels: true\n  file_sd_configs:\n"+
		"  - {files: [targets.json], refresh_interval: 1s}\n", watchPort)
	c.keepTargets(t, filepath.Join(dir, "targets.json"))
	inside := append([]string{"run", "--net-only", "--name", clusterName, program}, arguments...)
	run(t, exec.CommandContext(t.Context(), filepath.Join(c.repository, "hack/cluster/cluster"), inside...))
	address, err := c.forward(t.Context(), "prometheus", "127.0.0.1:"+watchPort)
	if err != nil {
		t.Fatal(err)
	}
	w := &watch{url: "http://" + address, names: alertNames(rules)}
	eventually(t, "Prometheus scrapes the operator and the RoseyBots", func(ctx context.Context) error {
		if err := w.shows(ctx, `count(roseybot_condition{type="Ready"}) == 2`); err != nil {
			return err
		}
		return w.shows(ctx, `count(rosey_bus_connected{name=~".+"}) == 6`) // three bots and three database services
	})
	return w
}

// keepTargets writes the addresses of the pods to a file until the test ends.
func (c *Cluster) keepTargets(t *testing.T, file string) {
	t.Helper()
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	var worker sync.WaitGroup
	worker.Go(func() {
		for {
			if err := c.writeTargets(ctx, file); err != nil && ctx.Err() == nil {
				t.Logf("targets of Prometheus: %v", err)
			}
			if !backoff.Sleep(ctx, time.Second) {
				return
			}
		}
	})
	t.Cleanup(func() { stop(); worker.Wait() })
}

type targets struct {
	Targets []string          `json:"targets"`
	Labels  map[string]string `json:"labels"`
}

func (c *Cluster) writeTargets(ctx context.Context, file string) error {
	all := []targets{}
	for _, selection := range [][]client.ListOption{
		{client.InNamespace(operatorNamespace), client.MatchingLabels{"app.kubernetes.io/name": operatorRelease}},
		{client.InNamespace(namespace), client.MatchingLabels{"app.kubernetes.io/managed-by": operatorRelease}},
	} {
		pods := &corev1.PodList{}
		if err := c.client.List(ctx, pods, selection...); err != nil {
			return fmt.Errorf("listing pods: %w", err)
		}
		for _, pod := range pods.Items {
			if pod.Status.PodIP == "" || pod.Status.Phase != corev1.PodRunning {
				continue
			}
			all = append(all, targets{
				[]string{net.JoinHostPort(pod.Status.PodIP, strconv.Itoa(status.HTTPPort))},
				map[string]string{
					"namespace": pod.Namespace, "pod": pod.Name, "name": pod.Labels["rosey.dev/roseybot"],
					"component": pod.Labels["app.kubernetes.io/component"],
				},
			})
		}
	}
	data, err := json.Marshal(all)
	if err != nil {
		return fmt.Errorf("encoding the targets: %w", err)
	}
	// Prometheus must not read half of it.
	if err := os.WriteFile(file+".new", data, 0o600); err != nil {
		return fmt.Errorf("writing the targets: %w", err)
	}
	if err := os.Rename(file+".new", file); err != nil {
		return fmt.Errorf("writing the targets: %w", err)
	}
	return nil
}
