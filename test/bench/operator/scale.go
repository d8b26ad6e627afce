package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"rosey.dev/rosey/api/v1alpha1"
)

// podsOfBot is the number of pods of a RoseyBot: a bot and a database service.
const podsOfBot = 2

// system is a control plane with an operator, on which pods get ready.
type system struct {
	admin   client.Client
	seen    *observer
	scrape  func(context.Context) (figures, error) // the operator's metrics
	restart func(context.Context) error            // ends the operator; another one starts
}

// scale compares the operator with a plain client that creates the same objects. It measures in the order of its
// methods: each depends on the state that the previous one left.
type scale struct {
	system
	table

	namespace, sampleIn string
	count               int
	rest                time.Duration
	quiet               time.Duration // after which the operator counts as idle

	perBot int // objects of a RoseyBot
	// plainExist and plain are how long it took until the pods of the plain client's objects existed, and were ready.
	plainExist, plain time.Duration
	moved             int // pods that a restart of the operator replaced or restarted
}

func measureScale(ctx context.Context, options options) (_ table, err error) {
	b := &scale{namespace: crowd, sampleIn: "sample", count: options.count, rest: options.rest, quiet: 10 * time.Second}
	b.title = fmt.Sprintf("%d RoseyBots", b.count)
	cluster, err := startCluster(ctx)
	if err != nil {
		return b.table, err
	}
	defer cluster.down(ctx)
	if b.system, err = cluster.system(ctx); err != nil {
		return b.table, err
	}
	err = doSteps(ctx, b.steps())
	return b.table, err
}

func (b *scale) steps() []step {
	return []step{
		{"a plain client creates the objects, and its pods get ready", b.measurePlain},
		{"the operator creates them", b.measureCreation},
		{fmt.Sprintf("nothing changes for %s", b.rest), b.measureRest},
		{"a new operator starts and has nothing to change", b.measureStart},
	}
}

// measurePlain creates the objects that the operator will create, with a client that does nothing else, and waits until
// their pods are ready. It removes them again, so that both find an idle control plane.
func (b *scale) measurePlain(ctx context.Context) error {
	sample, err := b.sample(ctx, b.sampleIn)
	if err != nil {
		return err
	}
	b.perBot = len(sample)
	b.report("objects of each", "%d", b.perBot)
	if err := createNamespace(ctx, b.admin, "plain"); err != nil {
		return err
	}
	start := time.Now()
	err = inParallel(b.count, func(i int) error {
		for _, text := range sample {
			object, err := copyOf(text, fmt.Sprintf("bot-%d", i))
			if err != nil {
				return err
			}
			if err := b.admin.Create(ctx, object); err != nil {
				return fmt.Errorf("creating %s: %w", object.GetName(), err)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	b.report("a plain client has created all objects, 4 at once", "%.1f s", time.Since(start).Seconds())
	if err := b.seen.waitPodsExist(ctx, "plain", podsOfBot*b.count); err != nil {
		return err
	}
	b.plainExist = time.Since(start)
	b.report("all pods of the plain client exist", "%.1f s", b.plainExist.Seconds())
	if err := b.seen.waitPods(ctx, "plain", podsOfBot*b.count); err != nil {
		return err
	}
	b.plain = time.Since(start)
	b.report("all pods of the plain client are ready", "%.1f s", b.plain.Seconds())
	unused := []string{"plain", b.sampleIn}
	return inParallel(len(unused), func(i int) error { return b.deleteNamespace(ctx, unused[i]) })
}

// deleteNamespace deletes a namespace, and waits until it is gone. What does not vanish at once is deleted first: where
// pods or claims are left, the namespace controller looks again only after half of the time that they may take.
func (s system) deleteNamespace(ctx context.Context, name string) error {
	if err := s.deleteAll(ctx, name, &v1alpha1.RoseyBotList{}, &appsv1.DeploymentList{}); err != nil {
		return err
	}
	if err := s.seen.waitPodsExist(ctx, name, 0); err != nil {
		return err
	}
	if err := s.deleteAll(ctx, name, &corev1.PersistentVolumeClaimList{}); err != nil {
		return err
	}
	if err := s.waitNoVolumes(ctx, name); err != nil {
		return err
	}
	space := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
	if err := s.admin.Delete(ctx, space); err != nil {
		return fmt.Errorf("deleting namespace %s: %w", name, err)
	}
	return until(ctx, "namespace "+name+" is gone", func() (bool, error) {
		err := s.admin.Get(ctx, client.ObjectKeyFromObject(space), space)
		if apierrors.IsNotFound(err) {
			return true, nil
		}
		if err != nil {
			return false, fmt.Errorf("reading namespace %s: %w", name, err)
		}
		return false, nil
	})
}

// waitNoVolumes waits until the volumes of a namespace's claims are gone. Their provisioner sends few requests per
// second: what it has left to delete would delay the next volumes by minutes.
func (s system) waitNoVolumes(ctx context.Context, namespace string) error {
	return untilEvery(ctx, time.Second, "the volumes of namespace "+namespace+" are gone", func() (bool, error) {
		volumes := &corev1.PersistentVolumeList{}
		if err := s.admin.List(ctx, volumes); err != nil {
			return false, fmt.Errorf("listing volumes: %w", err)
		}
		return !slices.ContainsFunc(volumes.Items, func(volume corev1.PersistentVolume) bool {
			return volume.Spec.ClaimRef != nil && volume.Spec.ClaimRef.Namespace == namespace
		}), nil
	})
}

// deleteAll deletes the objects of some kinds in a namespace, a few at once, and waits until they are gone.
func (s system) deleteAll(ctx context.Context, namespace string, kinds ...client.ObjectList) error {
	for _, list := range kinds {
		err := until(ctx, fmt.Sprintf("nothing of %T is left", list), func() (bool, error) {
			if err := s.admin.List(ctx, list, client.InNamespace(namespace)); err != nil {
				return false, fmt.Errorf("reading %T: %w", list, err)
			}
			objects, err := meta.ExtractList(list)
			if err != nil {
				return false, fmt.Errorf("reading %T: %w", list, err)
			}
			return len(objects) == 0, inParallel(len(objects), func(i int) error {
				object, _ := objects[i].(client.Object)
				return client.IgnoreNotFound(s.admin.Delete(ctx, object))
			})
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// measureCreation creates RoseyBots. Nothing but watches looks at them: lists of them and their objects would keep the
// API server busy.
func (b *scale) measureCreation(ctx context.Context) error {
	before, err := waitUntilIdle(ctx, b.quiet, b.scrape)
	if err != nil {
		return err
	}
	if err := createNamespace(ctx, b.admin, b.namespace); err != nil {
		return err
	}
	start := time.Now()
	if err := createBots(ctx, b.admin, 0, b.count, botsOf(b.namespace, "bot")); err != nil {
		return err
	}
	b.report("all RoseyBots are created, 4 at once", "%.1f s", time.Since(start).Seconds())
	if err := b.seen.waitPodsExist(ctx, b.namespace, podsOfBot*b.count); err != nil {
		return err
	}
	exist := time.Since(start)
	b.report("all pods of the RoseyBots exist", "%.1f s, %.2f × the plain client", exist.Seconds(),
		exist.Seconds()/b.plainExist.Seconds())
	if err := b.seen.waitPods(ctx, b.namespace, podsOfBot*b.count); err != nil {
		return err
	}
	pods := time.Since(start)
	b.report("all pods of the RoseyBots are ready", "%.1f s, %.2f × the plain client", pods.Seconds(),
		pods.Seconds()/b.plain.Seconds())
	if err := b.seen.waitServing(ctx, b.namespace, b.count); err != nil {
		return err
	}
	b.report("the statuses of all RoseyBots say so", "%.1f s", time.Since(start).Seconds())
	after, err := waitUntilIdle(ctx, b.quiet, b.scrape)
	if err != nil {
		return err
	}
	total := float64(b.count)
	b.report("requests of the operator for each, Events included", "%.1f", (after.requests-before.requests)/total)
	b.report("of these, writes", "%.1f", (after.writes-before.writes)/total)
	b.report("reconciles of each", "%.1f", (after.reconciles-before.reconciles)/total)
	b.report("processor time of the operator for each", "%.0f ms", (after.processor-before.processor)/total*1000)
	b.report("resident memory of the operator before and after", "%.1f MiB, %.1f MiB", before.resident/mebibyte,
		after.resident/mebibyte)
	return nil
}

// measureRest counts the operator's requests while nothing changes.
func (b *scale) measureRest(ctx context.Context) error {
	before, err := b.scrape(ctx)
	if err != nil {
		return err
	}
	if err := pause(ctx, b.rest); err != nil {
		return err
	}
	after, err := b.scrape(ctx)
	if err != nil {
		return err
	}
	b.report("requests per minute at rest, lease renewals included", "%.0f",
		(after.requests-before.requests)/b.rest.Minutes())
	b.report("reconciles per minute at rest", "%.0f", (after.reconciles-before.reconciles)/b.rest.Minutes())
	return nil
}

// measureStart replaces the operator: the new one reconciles every RoseyBot once.
func (b *scale) measureStart(ctx context.Context) error {
	pods := b.seen.podsOf(b.namespace)
	if err := b.restart(ctx); err != nil {
		return err
	}
	start := time.Now()
	if err := until(ctx, "all have been looked at", func() (bool, error) {
		found, err := b.scrape(ctx)
		if err != nil {
			return false, nil //nolint:nilerr // the new pod is not ready yet
		}
		return found.reconciles >= float64(b.count), nil
	}); err != nil {
		return err
	}
	b.report("a new operator has reconciled all, after the end of the old one", "%.1f s", time.Since(start).Seconds())
	after, err := waitUntilIdle(ctx, b.quiet, b.scrape)
	if err != nil {
		return err
	}
	b.report("requests of the new operator", "%.0f", after.requests)
	b.report("of these, writes", "%.0f", after.writes)
	b.moved = countMoved(pods, b.seen.podsOf(b.namespace))
	b.report("pods that it replaced or restarted", "%d of %d", b.moved, len(pods))
	return nil
}
