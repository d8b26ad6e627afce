package chaos

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"rosey.dev/rosey/api/v1alpha1"
	"rosey.dev/rosey/runtime/backoff"
)

const (
	operatorNamespace = "rosey-system" // as in hack/demo
	operatorRelease   = "rosey-operator"
	secondResource    = "second" // the RoseyBot in testdata/second.yaml
	lostNode          = "node2"  // neither the servers nor Prometheus are there
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
	if file := os.Getenv("ROSEY_CHAOS_RECORD"); file != "" {
		world.record(t, watch, file)
	}
	for _, each := range world.trials() {
		eventually(t, "both RoseyBots are ready", world.allReady)
		watch.try(t, each)
	}
}

// trials returns the causes of alerts. Several that do not disturb each other are made at once.
func (c *Cluster) trials() []trial {
	const (
		server   = "http://cytube.demo:8880"
		nats     = "nats://durable-nats.demo:4222"
		postgres = "postgres.demo:5432"
	)
	of := func(name, owner string, more ...string) map[string]string {
		labels := map[string]string{"namespace": namespace, "name": name, "owner": owner, "cause": ""}
		for i := 0; i < len(more); i += 2 {
			labels[more[i]] = more[i+1]
		}
		return labels
	}
	forBoth := func(owner string, more ...string) []map[string]string {
		return []map[string]string{of(botResource, owner, more...), of(secondResource, owner, more...)}
	}
	return []trial{
		{
			firing{
				"RoseyPostgreSQLUnavailable":  {{"postgres": postgres, "owner": "platform"}},
				"RoseyBotDatabaseUnavailable": forBoth("platform", "cause", "postgres", "postgres", postgres),
			},
			c.scaling(namespace, "statefulset/postgres", 0), c.scaling(namespace, "statefulset/postgres", 1),
		}, {
			firing{
				"RoseyBotNotReady":       {of(secondResource, "channel")},
				"RoseyWebUnavailable":    {of(botResource, "channel")},
				"RoseyPluginUnavailable": {of(botResource, "channel")},
			},
			each(
				c.patching(secondResource, `{"spec":{"account":{"passwordSecretRef":{"name":"absent","key":"password"}}}}`),
				c.patching(botResource, `{"spec":{`+
					`"web":{"enabled":true,"public":true,"natsCredentialsSecretRef":{"name":"absent"}},`+
					`"plugins":[{"name":"dice","builtin":"dice"}],`+
					`"pluginHost":{"natsCredentialsSecretRef":{"name":"absent"}}}}`),
			),
			each(
				c.patching(secondResource, `{"spec":{"account":{"passwordSecretRef":null}}}`),
				c.patching(botResource, `{"spec":{"web":{"natsCredentialsSecretRef":null},"plugins":null,"pluginHost":null}}`),
			),
		}, {
			firing{
				"RoseyCyTubeUnavailable": {{"server": server, "owner": "platform"}},
				"RoseyBotUpdateWaits":    forBoth("channel"),
			},
			each(c.scaling(namespace, "deployment/cytube", 0), c.helming("upgrade", operatorRelease,
				"charts/rosey-operator", "--reuse-values", "--set", "runtime.image=rosey.local/rosey:from-tomorrow")),
			each(c.scaling(namespace, "deployment/cytube", 1), c.helming("rollback", operatorRelease)),
		}, {
			firing{
				"RoseyNATSUnavailable": {{"nats": nats, "owner": "platform"}},
				"RoseyMessagesLost":    {of(botResource, "platform")},
			},
			each(c.scaling(namespace, "statefulset/durable-nats", 0), func(ctx context.Context) error {
				return c.kube(ctx, "", "wait", "pod/"+natsPod, "--for=delete", "--timeout=60s")
			}, c.flood),
			c.scaling(namespace, "statefulset/durable-nats", 1),
		}, {
			firing{
				"RoseyNodeUnavailable":        {{"node": lostNode, "owner": "platform"}},
				"RoseyBotDatabaseUnavailable": forBoth("platform", "cause", "node", "node", lostNode),
			},
			each(c.moveBots, func(ctx context.Context) error { return c.chaos(ctx, "partition", lostNode) }),
			func(ctx context.Context) error { return c.chaos(ctx, "rejoin", lostNode) },
		}, {
			firing{"RoseyOperatorErrors": {{"owner": "platform"}}},
			each(func(ctx context.Context) error { return c.bindOperator(ctx, "nobody") },
				c.patching(secondResource, `{"spec":{"logLevel":"debug"}}`)), // there is something to write
			func(ctx context.Context) error { return c.bindOperator(ctx, operatorRelease) },
		}, {
			firing{"RoseyOperatorAbsent": {{"owner": "platform"}}},
			c.scaling(operatorNamespace, "deployment/rosey-operator", 0),
			c.scaling(operatorNamespace, "deployment/rosey-operator", 1),
		},
	}
}

// each returns a function that takes some steps.
func each(steps ...func(context.Context) error) func(context.Context) error {
	return func(ctx context.Context) error {
		for _, step := range steps {
			if err := step(ctx); err != nil {
				return err
			}
		}
		return nil
	}
}

func (c *Cluster) scale(ctx context.Context, namespace, workload string, replicas int) error {
	return c.kube(ctx, "", "scale", workload, "--namespace", namespace, "--replicas="+strconv.Itoa(replicas))
}

func (c *Cluster) scaling(namespace, workload string, replicas int) func(context.Context) error {
	return func(ctx context.Context) error { return c.scale(ctx, namespace, workload, replicas) }
}

// patching returns a function that changes a RoseyBot.
func (c *Cluster) patching(name, patch string) func(context.Context) error {
	return func(ctx context.Context) error {
		return c.kube(ctx, "", "patch", "roseybot", name, "--type=merge", "--patch", patch)
	}
}

// moveBots moves all pods of the RoseyBots to the node that is to be lost, and the operator to the other one.
func (c *Cluster) moveBots(ctx context.Context) error {
	const operator = "deployment/rosey-operator"
	const (
		stay = `{"spec":{"template":{"spec":{"nodeSelector":{"kubernetes.io/hostname":"node1"}}}}}`
		move = `{"spec":{"scheduling":{"nodeSelector":{"kubernetes.io/hostname":"` + lostNode + `"}}}}`
	)
	if err := each(
		func(ctx context.Context) error {
			return c.kube(ctx, "", "patch", operator, "--namespace", operatorNamespace, "--patch", stay)
		},
		func(ctx context.Context) error {
			return c.kube(ctx, "", "rollout", "status", operator, "--namespace", operatorNamespace, "--timeout=120s")
		},
	)(ctx); err != nil {
		return err
	}
	for _, bot := range []string{botResource, secondResource} {
		if err := c.patching(bot, move)(ctx); err != nil {
			return err
		}
	}
	return c.untilReady(ctx)
}

// untilReady waits until every RoseyBot is Ready.
func (c *Cluster) untilReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	for {
		err := c.allReady(ctx)
		if err == nil || !backoff.Sleep(ctx, time.Second) {
			return err
		}
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

// helming returns a function that runs helm for the release of the operator.
func (c *Cluster) helming(args ...string) func(context.Context) error {
	return func(ctx context.Context) error { return c.helm(ctx, args...) }
}

func (c *Cluster) helm(ctx context.Context, args ...string) error {
	args = append(slices.Clone(args), "--kubeconfig", c.kubeconfig, "--namespace", operatorNamespace,
		"--wait", "--timeout=120s")
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
