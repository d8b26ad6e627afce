package rollouts

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"rosey.dev/rosey/controllers/manifests"
	"rosey.dev/rosey/runtime/backoff"
	"rosey.dev/rosey/runtime/status"
)

// Behaviour of the kubelet and of what runs in the pods.
const (
	badImage      = "rosey.example/rosey:bad"
	wrongPassword = "wrong"  // a Secret with which nobody can log in
	absentClaim   = "absent" // a claim that does not exist
	tick          = 100 * time.Millisecond
	startDelay    = 300 * time.Millisecond
	stopDelay     = 300 * time.Millisecond
)

// mostCPU is what a node has, and noCPU what the scheduler says of a pod that asks for more.
var mostCPU = resource.MustParse("64")

const noCPU = "1 Insufficient cpu"

// kubelet simulates a node for all pods of the operator: it starts and stops them, and answers for their processes.
type kubelet struct {
	clientset *kubernetes.Clientset
	reader    client.Reader
	port      int
	serving   sync.WaitGroup

	mu    sync.Mutex
	count int
	pods  map[types.UID]*simulated
}

// simulated is a pod on the node.
type simulated struct {
	pod      corev1.Pod
	seen     time.Time // when the node first saw it
	deleted  time.Time // when the node first saw that it is being deleted
	address  string
	listener net.Listener
	ready    bool
}

func newKubelet(clientset *kubernetes.Clientset, reader client.Reader, port int) *kubelet {
	return &kubelet{clientset: clientset, reader: reader, port: port, pods: map[types.UID]*simulated{}}
}

// run looks after the pods until ctx ends. An error of the API server is tried again at the next tick.
func (k *kubelet) run(ctx context.Context) {
	server := &http.Server{Handler: http.HandlerFunc(k.serveStatus), ReadHeaderTimeout: time.Second}
	defer k.serving.Wait()
	defer func() { _ = server.Close() }()
	for backoff.Sleep(ctx, tick) {
		list := &corev1.PodList{}
		if err := k.reader.List(ctx, list, client.HasLabels{manifests.LabelRoseyBot}); err != nil {
			continue
		}
		k.update(ctx, list.Items, server)
		var group sync.WaitGroup
		limit := make(chan struct{}, 16)
		for _, one := range k.all() {
			limit <- struct{}{}
			group.Go(func() {
				defer func() { <-limit }()
				k.sync(ctx, one)
			})
		}
		group.Wait()
	}
}

// update takes over what the API server has.
func (k *kubelet) update(ctx context.Context, pods []corev1.Pod, server *http.Server) {
	k.mu.Lock()
	defer k.mu.Unlock()
	exists := map[types.UID]bool{}
	for _, pod := range pods {
		exists[pod.UID] = true
		one := k.pods[pod.UID]
		if one == nil {
			one = &simulated{seen: time.Now()}
			k.pods[pod.UID] = one
			k.count++
			one.address = fmt.Sprintf("127.%d.%d.%d", 20+k.count/62500%200, k.count/250%250, k.count%250+1)
			address := net.JoinHostPort(one.address, strconv.Itoa(k.port))
			if listener, err := new(net.ListenConfig).Listen(ctx, "tcp", address); err == nil {
				one.listener = listener
				k.serving.Go(func() { _ = server.Serve(listener) }) // until the pod is removed or the server is closed
			}
		}
		one.pod = pod
		if pod.DeletionTimestamp != nil && one.deleted.IsZero() {
			one.deleted = time.Now()
		}
	}
	for uid, one := range k.pods {
		if !exists[uid] {
			if one.listener != nil {
				_ = one.listener.Close()
			}
			delete(k.pods, uid)
		}
	}
}

func (k *kubelet) all() (all []*simulated) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, one := range k.pods {
		all = append(all, one)
	}
	return all
}

// sync writes the status of a pod if it has changed, or removes the pod once its process has ended.
func (k *kubelet) sync(ctx context.Context, one *simulated) {
	pod := one.pod.DeepCopy()
	pods := k.clientset.CoreV1().Pods(pod.Namespace)
	if !one.deleted.IsZero() {
		if pod.Spec.NodeName == "" || time.Since(one.deleted) >= stopDelay {
			_ = pods.Delete(ctx, pod.Name, metav1.DeleteOptions{
				GracePeriodSeconds: new(int64(0)), Preconditions: metav1.NewUIDPreconditions(string(pod.UID)),
			})
		}
		return
	}
	if pod.Spec.NodeName == "" {
		k.schedule(ctx, pod)
		return
	}
	next := k.status(one)
	if next.Phase == pod.Status.Phase && isReady(pod) == one.ready && len(pod.Status.ContainerStatuses) > 0 {
		return
	}
	pod.Status = next
	_, _ = pods.UpdateStatus(ctx, pod, metav1.UpdateOptions{})
}

// schedule binds a pod to the node if it fits there and its claims exist.
func (k *kubelet) schedule(ctx context.Context, pod *corev1.Pod) {
	pods := k.clientset.CoreV1().Pods(pod.Namespace)
	var reason string
	switch request := pod.Spec.Containers[0].Resources.Requests.Cpu(); {
	case mountsClaim(pod, absentClaim):
		reason = "persistentvolumeclaim \"" + absentClaim + "\" not found"
	case request.Cmp(mostCPU) > 0:
		reason = noCPU
	default:
		_ = pods.Bind(ctx, &corev1.Binding{
			ObjectMeta: metav1.ObjectMeta{Name: pod.Name, UID: pod.UID},
			Target:     corev1.ObjectReference{Kind: "Node", Name: "node"},
		}, metav1.CreateOptions{})
		return
	}
	if len(pod.Status.Conditions) == 0 {
		pod.Status.Conditions = []corev1.PodCondition{{
			Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: corev1.PodReasonUnschedulable,
			Message: "0/1 nodes are available: " + reason + ".",
		}}
		_, _ = pods.UpdateStatus(ctx, pod, metav1.UpdateOptions{})
	}
}

// status returns what the kubelet reports of a pod that has a node.
func (k *kubelet) status(one *simulated) corev1.PodStatus {
	container := one.pod.Spec.Containers[0]
	state := corev1.ContainerStatus{Name: container.Name, Image: container.Image}
	if container.Image == badImage {
		state.State.Waiting = &corev1.ContainerStateWaiting{Reason: "ImagePullBackOff", Message: "no such image"}
		return corev1.PodStatus{Phase: corev1.PodPending, ContainerStatuses: []corev1.ContainerStatus{state}}
	}
	if time.Since(one.seen) < startDelay {
		state.State.Waiting = &corev1.ContainerStateWaiting{Reason: "ContainerCreating"}
		return corev1.PodStatus{Phase: corev1.PodPending, ContainerStatuses: []corev1.ContainerStatus{state}}
	}
	ready := k.report(one).Ready
	k.mu.Lock()
	one.ready = ready
	k.mu.Unlock()
	state.Started, state.Ready = new(true), ready
	state.State.Running = &corev1.ContainerStateRunning{StartedAt: metav1.NewTime(one.seen)}
	condition := corev1.PodCondition{Type: corev1.PodReady, Status: corev1.ConditionFalse}
	if ready {
		condition.Status = corev1.ConditionTrue
	}
	return corev1.PodStatus{
		Phase: corev1.PodRunning, PodIP: one.address, PodIPs: []corev1.PodIP{{IP: one.address}},
		Conditions: []corev1.PodCondition{condition}, ContainerStatuses: []corev1.ContainerStatus{state},
	}
}

// serveStatus answers for the process in the pod whose address was asked.
func (k *kubelet) serveStatus(w http.ResponseWriter, request *http.Request) {
	local, _ := request.Context().Value(http.LocalAddrContextKey).(net.Addr)
	host, _, _ := net.SplitHostPort(local.String())
	for _, one := range k.all() {
		if one.address == host {
			_ = json.NewEncoder(w).Encode(k.report(one))
			return
		}
	}
	http.NotFound(w, request)
}

// report returns what the process in a pod says. A bot needs a database service, unless it opens the database itself; a
// pod that mounts a claim needs that it is the only one; and a password may be wrong.
func (k *kubelet) report(one *simulated) status.Report {
	k.mu.Lock()
	defer k.mu.Unlock()
	component := componentOf(&one.pod)
	report := status.Report{
		Component: component, Ready: true, Reason: status.ReasonReady, Message: "ready",
		Channels: []string{status.ChannelName(server, channel)},
		Checks: []status.Check{
			{Name: status.ChannelCheck, OK: true, Reason: status.ReasonJoined},
			{Name: status.EventsCheck, OK: true, Reason: status.ReasonStreamBound},
			{Name: status.StoreCheck, OK: true, Reason: status.ReasonStoreOpen},
		},
		Leader: k.leader(one),
	}
	fail := func(reason status.Reason, message string) {
		report.Ready, report.Reason, report.Message = false, reason, message
		report.Checks[0].OK, report.Checks[0].Reason, report.Checks[0].Message = false, reason, message
	}
	switch {
	case usesSecret(&one.pod, wrongPassword):
		fail(status.ReasonLoginRefused, "the server refuses the password")
	case mountsClaim(&one.pod) && k.isLocked(one):
		fail(status.ReasonStoreUnavailable, "another process has the database open")
	case component == manifests.Bot && !mountsClaim(&one.pod) && one.pod.Labels[directLabel] == "" && !k.hasService(one):
		fail(status.ReasonServiceAbsent, "no database service answers")
	}
	return report
}

// leader returns the oldest bot that runs.
func (k *kubelet) leader(of *simulated) string {
	leader := of
	for _, other := range k.pods {
		if isNeighbour(other, of, manifests.Bot) && other.ready && other.deleted.IsZero() &&
			(!leader.ready || other.seen.Before(leader.seen)) {
			leader = other
		}
	}
	return leader.pod.Name
}

func (k *kubelet) hasService(of *simulated) bool {
	for _, other := range k.pods {
		if isNeighbour(other, of, manifests.Database) && other.ready && other.deleted.IsZero() {
			return true
		}
	}
	return false
}

// isLocked reports whether an older pod has the database open.
func (k *kubelet) isLocked(of *simulated) bool {
	for _, other := range k.pods {
		if other != of && other.pod.Namespace == of.pod.Namespace && mountsClaim(&other.pod) && other.seen.Before(of.seen) &&
			other.pod.Status.Phase == corev1.PodRunning {
			return true
		}
	}
	return false
}

func isNeighbour(one, of *simulated, component status.Component) bool {
	return one.pod.Namespace == of.pod.Namespace && componentOf(&one.pod) == component
}

func componentOf(pod *corev1.Pod) status.Component {
	return status.Component(pod.Labels[manifests.LabelComponent])
}

// mountsClaim reports whether a pod mounts one of the claims with some names, or any claim if there are no names.
func mountsClaim(pod *corev1.Pod, names ...string) bool {
	return slices.ContainsFunc(pod.Spec.Volumes, func(volume corev1.Volume) bool {
		claim := volume.PersistentVolumeClaim
		return claim != nil && (len(names) == 0 || slices.Contains(names, claim.ClaimName))
	})
}

func usesSecret(pod *corev1.Pod, name string) bool {
	return slices.ContainsFunc(pod.Spec.Volumes, func(volume corev1.Volume) bool {
		return volume.Secret != nil && strings.HasPrefix(volume.Secret.SecretName, name)
	})
}

func isReady(pod *corev1.Pod) bool {
	return slices.ContainsFunc(pod.Status.Conditions, func(condition corev1.PodCondition) bool {
		return condition.Type == corev1.PodReady && condition.Status == corev1.ConditionTrue
	})
}
