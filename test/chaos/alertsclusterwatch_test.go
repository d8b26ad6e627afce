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
	"sigs.k8s.io/controller-runtime/pkg/client"

	"rosey.dev/rosey/runtime/backoff"
	"rosey.dev/rosey/runtime/status"
	"rosey.dev/rosey/test/processtest"
)

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
	processtest.Start(t, exec.CommandContext(t.Context(), filepath.Join(c.repository, "hack/cluster/cluster"), inside...))
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
