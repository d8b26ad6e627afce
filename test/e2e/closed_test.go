package e2e

import (
	"context"
	"fmt"
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"rosey.dev/rosey/api/v1alpha1"
	"rosey.dev/rosey/runtime/status"
)

const probeImage = "rosey.local/probe:e2e"

// Only the monitoring namespace and the operator may connect to bots, database services and the operator itself, and
// only their namespace to NATS. That the operator may, TestRuntimeErrorsAreReported shows: it reads the reported
// messages over the network.
func TestClosedPortsAreClosed(t *testing.T) {
	needLocalCluster(t)
	t.Parallel()
	loadProbe(t)
	createNamespace(t, "stranger", nil)
	createNamespace(t, "monitoring", map[string]string{"metrics": "enabled"})
	startProbe(t, "stranger")
	startProbe(t, "monitoring")
	create(t, newBot("guarded"))
	waitReady(t, "guarded")

	// Both probes can reach a port that no policy restricts.
	for _, from := range []string{"stranger", "monitoring"} {
		if _, err := tryFrom(t.Context(), from, "tcp", strings.TrimPrefix(cytubeServer, "http://")); err != nil {
			t.Errorf("connecting from %s to CyTube: %v", from, err)
		}
		if _, err := tryFrom(t.Context(), from, "tcp", strings.TrimPrefix(natsURL, "nats://")); err == nil {
			t.Errorf("namespace %s can connect to NATS", from)
		}
	}
	guarded, err := podsOf(t.Context(), "guarded")
	if err != nil {
		t.Fatal(err)
	}
	if len(guarded) != 2 {
		t.Errorf("%d pods, want a bot and a database service", len(guarded))
	}
	operators, err := podsLabelled(t.Context(), operatorNamespace, "app.kubernetes.io/component", "operator")
	if err != nil {
		t.Fatal(err)
	}
	for _, pod := range append(guarded, operators...) {
		metrics := "http://" + net.JoinHostPort(pod.Status.PodIP, strconv.Itoa(status.HTTPPort)) + "/metrics"
		if response, err := tryFrom(t.Context(), "stranger", "get", metrics); err == nil {
			t.Errorf("namespace stranger can reach %s: %s", pod.Name, response)
		}
		response, err := tryFrom(t.Context(), "monitoring", "get", metrics)
		if err != nil || !strings.Contains(response, "200 OK") {
			t.Errorf("namespace monitoring cannot reach %s: %v %s", pod.Name, err, response)
		}
	}
}

// With a list of egress rules, a bot can reach only what they allow.
func TestEgressRulesAreEnforced(t *testing.T) {
	needLocalCluster(t)
	t.Parallel()
	bot := newBot("confined")
	bot.Spec.NetworkPolicy.Egress = []networkingv1.NetworkPolicyEgressRule{
		{Ports: []networkingv1.NetworkPolicyPort{{Protocol: new(corev1.ProtocolUDP), Port: new(intstr.FromInt32(53))}}},
		{To: []networkingv1.NetworkPolicyPeer{{
			PodSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "nats"}},
		}}},
	}
	create(t, bot)
	waitFor(t, bot.Name, v1alpha1.ConditionDatabaseAvailable, metav1.ConditionTrue)
	waitDisconnected(t, bot.Name)
	waitFor(t, bot.Name, v1alpha1.ConditionDatabaseAvailable, metav1.ConditionTrue)
	noRestarts(t, bot.Name)
}

// waitDisconnected waits until a bot cannot reach the CyTube server. Policies apply to a pod a moment after it has
// started and do not close open connections, so a bot that connected before is dropped and has to reconnect.
func waitDisconnected(t *testing.T, name string) {
	t.Helper()
	channel := cytubeChannel(name)
	eventually(t, readyLimit, "RoseyBot "+name+" does not reach the server", func(ctx context.Context) error {
		bot, err := getBot(ctx, name)
		if err != nil {
			return err
		}
		joined := meta.FindStatusCondition(bot.Status.Conditions, v1alpha1.ConditionChannelJoined)
		if joined != nil && joined.Reason == string(status.ReasonServerUnreachable) {
			return nil
		}
		user := bot.Spec.Account.Username
		if present, err := channel.present(ctx, user); err == nil && present {
			channel.post(t, "drop", map[string]string{"user": user})
		}
		return fmt.Errorf("ChannelJoined is %+v", joined)
	})
}

func loadProbe(t *testing.T) {
	t.Helper()
	image := filepath.Join(t.TempDir(), "probe.tar")
	if err := runInDirectory("hack/cluster", "hack/cluster/cluster",
		"image", "--name-tag", probeImage, "--output", image, "./cmd/probe"); err != nil {
		t.Fatal(err)
	}
	runLocalCluster(t, "load-image", image)
}

// startProbe runs a pod from which the network can be tested.
func startProbe(t *testing.T, space string) {
	t.Helper()
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "probe", Namespace: space},
		Spec: corev1.PodSpec{
			TerminationGracePeriodSeconds: new(int64(1)),
			SecurityContext: &corev1.PodSecurityContext{
				RunAsNonRoot:   new(true),
				SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
			},
			Containers: []corev1.Container{{
				Name: "probe", Image: probeImage, Args: []string{"serve", ":8080"},
				SecurityContext: &corev1.SecurityContext{
					AllowPrivilegeEscalation: new(false),
					Capabilities:             &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
				},
			}},
		},
	}
	if err := cluster.client.Create(t.Context(), pod); err != nil {
		t.Fatalf("creating a probe in %s: %v", space, err)
	}
	eventually(t, readyLimit, "the probe in "+space+" runs", func(ctx context.Context) error {
		_, err := tryFrom(ctx, space, "dns", "nats.demo.svc.cluster.local")
		return err
	})
}

func tryFrom(ctx context.Context, space string, arguments ...string) (string, error) {
	response, err := runIn(ctx, space, "probe", append([]string{"/bin/probe"}, arguments...)...)
	if err != nil {
		return "", fmt.Errorf("from %s: %w", space, err)
	}
	return string(response), nil
}
