package chaos

import (
	"context"
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"rosey.dev/rosey/api/v1alpha1"
)

// stablePeriod is how long everything must have been healthy: probes take a moment to detect a failure.
const stablePeriod = 3 * time.Second

// Healthy returns nil if nodes and servers are ready, both Deployments are rolled out and the RoseyBot is Ready, and
// have been so for stablePeriod.
func (c *Cluster) Healthy(ctx context.Context) error {
	if err := c.checkHealth(ctx); err != nil {
		c.healthySince = time.Time{}
		return err
	}
	if c.healthySince.IsZero() {
		c.healthySince = time.Now()
	}
	if since := time.Since(c.healthySince); since < stablePeriod {
		return fmt.Errorf("everything is healthy only since %s", since)
	}
	return nil
}

func (c *Cluster) checkHealth(ctx context.Context) error {
	for _, check := range []func(context.Context) error{
		c.nodesReady, c.serversReady, c.rolledOut, c.botReady, c.botsSpread,
	} {
		if err := check(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (c *Cluster) nodesReady(ctx context.Context) error {
	nodes := &corev1.NodeList{}
	if err := c.client.List(ctx, nodes); err != nil {
		return fmt.Errorf("listing nodes: %w", err)
	}
	for _, node := range nodes.Items {
		for _, condition := range node.Status.Conditions {
			if condition.Type == corev1.NodeReady && condition.Status != corev1.ConditionTrue {
				return fmt.Errorf("%s is not ready: %s", node.Name, condition.Message)
			}
		}
		if len(node.Spec.Taints) > 0 {
			return fmt.Errorf("%s still has the taint %s", node.Name, node.Spec.Taints[0].Key)
		}
	}
	return nil
}

func (c *Cluster) serversReady(ctx context.Context) error {
	for _, name := range []string{natsPod, postgresPod} {
		pod := &corev1.Pod{}
		if err := c.client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, pod); err != nil {
			return fmt.Errorf("getting pod %s: %w", name, err)
		}
		if !isReady(*pod) {
			return fmt.Errorf("pod %s is not ready", name)
		}
	}
	return nil
}

func isReady(pod corev1.Pod) bool {
	for _, condition := range pod.Status.Conditions {
		if condition.Type == corev1.PodReady {
			return condition.Status == corev1.ConditionTrue && pod.DeletionTimestamp == nil
		}
	}
	return false
}

func (c *Cluster) rolledOut(ctx context.Context) error {
	for _, name := range []string{botResource + "-bot", botResource + "-db"} {
		d := &appsv1.Deployment{}
		if err := c.client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, d); err != nil {
			return fmt.Errorf("getting Deployment %s: %w", name, err)
		}
		want, s := *d.Spec.Replicas, d.Status
		done := s.ObservedGeneration >= d.Generation && s.Replicas == want &&
			s.UpdatedReplicas == want && s.AvailableReplicas == want
		if !done {
			return fmt.Errorf("deployment %s: %d of %d pods are up to date, %d are available", name,
				s.UpdatedReplicas, want, s.AvailableReplicas)
		}
	}
	return nil
}

func (c *Cluster) botReady(ctx context.Context) error {
	bot := &v1alpha1.RoseyBot{}
	if err := c.client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: botResource}, bot); err != nil {
		return fmt.Errorf("getting the RoseyBot: %w", err)
	}
	ready := meta.FindStatusCondition(bot.Status.Conditions, v1alpha1.ConditionReady)
	if ready == nil || ready.Status != metav1.ConditionTrue || ready.ObservedGeneration != bot.Generation {
		return fmt.Errorf("the RoseyBot is not Ready: %+v", ready)
	}
	return nil
}

// botsSpread deletes a bot that shares its node with the leader. Kubernetes spreads new pods but does not move existing
// ones back to a recovered node, so an administrator has to do it: with their node, both bots would be lost.
func (c *Cluster) botsSpread(ctx context.Context) error {
	leader, standbys, err := c.bots(ctx)
	if err != nil {
		return err
	}
	for _, standby := range standbys {
		if standby.Spec.NodeName != leader.Spec.NodeName {
			continue
		}
		if err := c.client.Delete(ctx, &standby); err != nil {
			return fmt.Errorf("moving bot %s: %w", standby.Name, err)
		}
		return fmt.Errorf("both bots are on %s: deleted %s", leader.Spec.NodeName, standby.Name)
	}
	return nil
}

// pods returns the running pods of a component, ready or not.
func (c *Cluster) pods(ctx context.Context, component string) ([]corev1.Pod, error) {
	list := &corev1.PodList{}
	err := c.client.List(ctx, list, client.InNamespace(namespace), client.MatchingLabels{
		"rosey.dev/roseybot": botResource, "app.kubernetes.io/component": component,
	})
	if err != nil {
		return nil, fmt.Errorf("listing pods of the %s: %w", component, err)
	}
	var running []corev1.Pod
	for _, pod := range list.Items {
		if pod.Status.Phase == corev1.PodRunning && pod.DeletionTimestamp == nil {
			running = append(running, pod)
		}
	}
	return running, nil
}
