package chaos

import (
	"context"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"rosey.dev/rosey/api/v1alpha1"
)

// Kinds returns the faults that can be injected into a cluster.
func (c *Cluster) Kinds() []Kind {
	return []Kind{
		KillLeader, LoseLeader, PauseLeader, PauseLeaderLong, CutLeader, CutLeaderLong, DropLeader, KillStandby, CutStandby,
		KillDatabase, PauseDatabase, CutDatabase, RollAll,
		KillNATS, RestartNATS, PauseNATS, KillPostgres, RestartPG, PausePostgres, RestartCyTube,
		StopKubelet, PartitionNode,
	}
}

// Inject injects a fault.
func (c *Cluster) Inject(ctx context.Context, fault Fault) (target string, repair Repair, err error) {
	c.healthySince = time.Time{}
	switch fault.Kind {
	case RestartCyTube:
		return "", noRepair, c.cytube.Restart(ctx, fault.Lasts.Milliseconds())
	case DropLeader:
		return "", noRepair, c.cytube.Drop(ctx, botName)
	case RollAll:
		return "", noRepair, c.roll(ctx)
	case PartitionNode:
		return c.partition(ctx)
	case KillNATS, RestartNATS, PauseNATS:
		return c.injectServer(ctx, fault.Kind, natsPod)
	case KillPostgres, RestartPG, PausePostgres:
		return c.injectServer(ctx, fault.Kind, postgresPod)
	case KillDatabase, PauseDatabase, CutDatabase:
		return c.injectDatabase(ctx, fault)
	default:
		return c.injectBot(ctx, fault.Kind)
	}
}

func (c *Cluster) injectServer(ctx context.Context, kind Kind, pod string) (target string, repair Repair, err error) {
	switch kind {
	case KillNATS, KillPostgres:
		return pod, noRepair, c.chaos(ctx, "kill", namespace, pod)
	case PauseNATS, PausePostgres:
		return c.both(ctx, pod, "pause", "resume", namespace, pod)
	default:
		victim := &corev1.Pod{}
		victim.Namespace, victim.Name = namespace, pod
		if err := c.client.Delete(ctx, victim); err != nil {
			return pod, nil, fmt.Errorf("deleting pod %s: %w", pod, err)
		}
		return pod, noRepair, nil
	}
}

func (c *Cluster) injectDatabase(ctx context.Context, fault Fault) (target string, repair Repair, err error) {
	pods, err := c.pods(ctx, "database")
	if err != nil {
		return "", nil, err
	}
	if len(pods) == 0 {
		return "", nil, fmt.Errorf("no database service is running")
	}
	return c.injectPod(ctx, fault.Kind, pods[fault.Pick%len(pods)].Name)
}

// bots returns the pod that is in the channel, and the standby pods.
func (c *Cluster) bots(ctx context.Context) (leader corev1.Pod, standbys []corev1.Pod, err error) {
	address, err := c.cytube.Leader(ctx, botName)
	if err != nil {
		return leader, nil, err
	}
	pods, err := c.pods(ctx, "bot")
	if err != nil {
		return leader, nil, err
	}
	leads := func(pod corev1.Pod) bool { return pod.Status.PodIP == address }
	at := slices.IndexFunc(pods, leads)
	if at < 0 {
		return leader, nil, fmt.Errorf("no pod has the address %q that logged in last", address)
	}
	leader = pods[at]
	return leader, slices.DeleteFunc(pods, leads), nil
}

// partition cuts off the node without the control plane.
func (c *Cluster) partition(ctx context.Context) (target string, repair Repair, err error) {
	const node = "node2"
	leader, _, err := c.bots(ctx)
	if err != nil {
		return "", nil, err
	}
	target = node
	if leader.Spec.NodeName == node {
		target += withLeader
	}
	return c.both(ctx, target, "partition", "rejoin", node)
}

func (c *Cluster) injectBot(ctx context.Context, kind Kind) (target string, repair Repair, err error) {
	leader, standbys, err := c.bots(ctx)
	if err != nil {
		return "", nil, err
	}
	switch kind {
	case LoseLeader:
		return leader.Name, noRepair, c.lose(ctx, leader)
	case StopKubelet:
		return c.both(ctx, leader.Spec.NodeName, "node-stop", "node-start", leader.Spec.NodeName)
	case KillStandby, CutStandby:
		if len(standbys) == 0 {
			return "", nil, fmt.Errorf("there is no standby bot")
		}
		return c.injectPod(ctx, kind, standbys[0].Name)
	default:
		return c.injectPod(ctx, kind, leader.Name)
	}
}

// lose kills a pod's process and deletes the pod, so that the container is not restarted.
func (c *Cluster) lose(ctx context.Context, pod corev1.Pod) error {
	if err := c.chaos(ctx, "kill", namespace, pod.Name); err != nil {
		return err
	}
	if err := c.client.Delete(ctx, &pod, client.GracePeriodSeconds(0)); err != nil {
		return fmt.Errorf("deleting pod %s: %w", pod.Name, err)
	}
	return nil
}

func (c *Cluster) injectPod(ctx context.Context, kind Kind, pod string) (target string, repair Repair, err error) {
	switch kind {
	case KillLeader, KillStandby, KillDatabase:
		return pod, noRepair, c.chaos(ctx, "kill", namespace, pod)
	case PauseLeader, PauseLeaderLong, PauseDatabase:
		return c.both(ctx, pod, "pause", "resume", namespace, pod)
	case CutLeader, CutLeaderLong, CutStandby, CutDatabase:
		return c.both(ctx, pod, "cut", "heal", namespace, pod)
	default:
		return "", nil, fmt.Errorf("pods do not support the fault %q", kind)
	}
}

// both injects a fault and returns its opposite.
func (c *Cluster) both(ctx context.Context, target, begin, end string, args ...string) (string, Repair, error) {
	return target, func(ctx context.Context) error { return c.chaos(ctx, end, args...) }, c.chaos(ctx, begin, args...)
}

func (c *Cluster) chaos(ctx context.Context, verb string, args ...string) error {
	_, err := c.command(ctx, "hack/cluster/cluster", append([]string{"chaos", "--name", clusterName, verb}, args...)...)
	return err
}

// roll changes the pod templates of both components, as an update of the program would.
func (c *Cluster) roll(ctx context.Context) error {
	c.rolls++
	bot := &v1alpha1.RoseyBot{}
	bot.Namespace, bot.Name = namespace, botResource
	patch := fmt.Appendf(nil, `{"spec":{"podMetadata":{"annotations":{"example.com/roll":"%d"}}}}`, c.rolls)
	if err := c.client.Patch(ctx, bot, client.RawPatch("application/merge-patch+json", patch)); err != nil {
		return fmt.Errorf("rolling both Deployments: %w", err)
	}
	return nil
}
