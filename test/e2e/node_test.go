package e2e

import (
	"context"
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"rosey.dev/rosey/api/v1alpha1"
)

// A node can be drained although everything on it has one replica. The bot moves to another node at once; the database
// waits for the node that has its claim, and the status reports it.
func TestADrainIsNotBlockedBySingleReplicas(t *testing.T) {
	needLocalCluster(t)
	runLocalCluster(t, "up", "--nodes", "2")
	kubectl(t, "cordon", "node1")
	create(t, newBot("mover"))
	waitReady(t, "mover")
	kubectl(t, "uncordon", "node1")

	kubectl(t, "drain", "node2", "--delete-emptydir-data", "--ignore-daemonsets", "--timeout=60s")
	eventually(t, readyLimit, "the bot runs on the other node", func(ctx context.Context) error {
		pods, err := podsOf(ctx, "mover")
		if err != nil {
			return err
		}
		for _, pod := range pods {
			if pod.Labels["app.kubernetes.io/component"] == "bot" && pod.Status.Phase == corev1.PodRunning &&
				pod.Spec.NodeName == "node1" {
				return nil
			}
		}
		return fmt.Errorf("not yet")
	})
	message := waitFor(t, "mover", v1alpha1.ConditionDatabaseAvailable, metav1.ConditionFalse,
		v1alpha1.ReasonUnschedulable)
	t.Log(message)

	kubectl(t, "uncordon", "node2")
	waitReady(t, "mover")
}
