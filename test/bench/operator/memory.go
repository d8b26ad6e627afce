package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"rosey.dev/rosey/api/v1alpha1"
	"rosey.dev/rosey/controllers/manifests"
)

// largeNamespace has the objects of a user who wants to fill the operator's memory.
const largeNamespace = "large"

// memory measures how much memory the operator needs beside objects of nearly the largest size that the API server
// accepts: Deployments with the operator's label, and RoseyBots.
type memory struct {
	*loopback
	table

	count int // of Deployments, and of RoseyBots
}

func measureMemory(ctx context.Context, options options) (_ table, err error) {
	m := &memory{count: options.large}
	m.title = fmt.Sprintf("beside %d Deployments and %d RoseyBots of about 1 MB", m.count, m.count)
	defer func() {
		if m.loopback != nil {
			err = errors.Join(err, m.close())
		}
	}()
	err = doSteps(ctx, []step{
		{"API server and operator start", m.start},
		{"large objects are created", m.create},
		{"the operator has seen them", m.measureRunning},
		{"the operator starts again beside them", m.measureStart},
	})
	return m.table, err
}

func (m *memory) start(ctx context.Context) (err error) {
	if m.loopback, err = startLoopback(ctx, false); err != nil {
		return err
	}
	return m.reportMemory("alone")
}

func (m *memory) create(ctx context.Context) error {
	if err := createNamespace(ctx, m.admin, largeNamespace); err != nil {
		return err
	}
	for i := range m.count {
		meta := metav1.ObjectMeta{
			Namespace: largeNamespace, Name: fmt.Sprint("large-", i),
			Labels: map[string]string{manifests.LabelManagedBy: manifests.ManagedBy, "app": "x"},
		}
		for _, object := range []client.Object{largeDeployment(meta), largeBot(meta)} {
			if err := m.admin.Create(ctx, object); err != nil {
				return fmt.Errorf("creating %T: %w", object, err)
			}
		}
	}
	return nil
}

func largeDeployment(meta metav1.ObjectMeta) *appsv1.Deployment {
	large := &appsv1.Deployment{ObjectMeta: meta}
	labels := map[string]string{"app": "x"}
	large.Spec.Selector, large.Spec.Template.Labels = &metav1.LabelSelector{MatchLabels: labels}, labels
	large.Spec.Replicas = new(int32(0))
	container := corev1.Container{Name: "x", Image: "x"}
	for i := range 100_000 {
		container.Args = append(container.Args, strconv.Itoa(i))
	}
	large.Spec.Template.Spec.Containers = []corev1.Container{container}
	return large
}

func largeBot(meta metav1.ObjectMeta) *v1alpha1.RoseyBot {
	large := &v1alpha1.RoseyBot{ObjectMeta: meta}
	large.Spec.Channel.Name, large.Spec.NATS = "large", &v1alpha1.NATS{URL: "nats://nats.example:4222"}
	term := corev1.NodeSelectorRequirement{Key: "zone", Operator: corev1.NodeSelectorOpIn}
	for i := range 80_000 {
		term.Values = append(term.Values, fmt.Sprint("zone-", i))
	}
	large.Spec.Scheduling.Affinity = &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{
		RequiredDuringSchedulingIgnoredDuringExecution: &corev1.NodeSelector{
			NodeSelectorTerms: []corev1.NodeSelectorTerm{{MatchExpressions: []corev1.NodeSelectorRequirement{term}}},
		},
	}}
	return large
}

// measureRunning waits until the operator has said of each RoseyBot that it is too large.
func (m *memory) measureRunning(ctx context.Context) error {
	if err := m.awaitStatuses(ctx); err != nil {
		return err
	}
	return m.reportMemory("while they are created")
}

func (m *memory) awaitStatuses(ctx context.Context) error {
	return until(ctx, "every RoseyBot has a status", func() (bool, error) {
		bots := &v1alpha1.RoseyBotList{}
		if err := m.admin.List(ctx, bots, client.InNamespace(largeNamespace)); err != nil {
			return false, fmt.Errorf("listing the RoseyBots: %w", err)
		}
		seen := 0
		for i := range bots.Items {
			if bots.Items[i].Status.ObservedGeneration == bots.Items[i].Generation {
				seen++
			}
		}
		return seen == m.count, nil
	})
}

// measureStart starts the operator anew, which then reads all objects at once.
func (m *memory) measureStart(ctx context.Context) error {
	if err := m.stopOperator(); err != nil {
		return err
	}
	if err := m.startOperator(ctx); err != nil {
		return err
	}
	err := until(ctx, "the operator reconciles", func() (bool, error) {
		now, err := m.scrape(ctx)
		return err == nil && now.reconciles >= float64(m.count), nil
	})
	if err != nil {
		return err
	}
	return m.reportMemory("after it has started again")
}

// reportMemory reports how much memory the operator uses, and how much it has used at most since it started.
func (m *memory) reportMemory(when string) error {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", m.operator.Process.Pid))
	if err != nil {
		return fmt.Errorf("reading the operator's memory: %w", err)
	}
	values := map[string]int{}
	for line := range strings.Lines(string(status)) {
		if fields := strings.Fields(line); len(fields) == 3 && fields[2] == "kB" {
			values[fields[0]], _ = strconv.Atoi(fields[1])
		}
	}
	m.report("resident memory of the operator "+when, "%d MiB, at most %d MiB",
		values["VmRSS:"]/kibibyte, values["VmHWM:"]/kibibyte)
	return nil
}
