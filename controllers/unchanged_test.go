package controllers

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/managedfields"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/structured-merge-diff/v6/typed"

	"rosey.dev/rosey/api/v1alpha1"
)

// comparisons counts the objects that the operator reads field by field, to compare them, by namespace.
type comparisons struct {
	managedfields.TypeConverter

	of sync.Map
}

func (c *comparisons) ObjectToTyped(
	object runtime.Object, options ...typed.ValidationOptions,
) (*typed.TypedValue, error) {
	if read, err := meta.Accessor(object); err == nil {
		c.counter(read.GetNamespace()).Add(1)
	}
	return c.TypeConverter.ObjectToTyped(object, options...)
}

func (c *comparisons) counter(namespace string) *atomic.Int32 {
	found, _ := c.of.LoadOrStore(namespace, new(atomic.Int32))
	counter, _ := found.(*atomic.Int32)
	return counter
}

func TestAReconcileWithoutAChangeComparesNothing(t *testing.T) {
	bot := newBot(newNamespace(t))
	pod := createReady(t, bot)
	waitReconciled(t, bot)
	compared := rig.compared.counter(bot.Namespace)
	before := compared.Load()
	for range 3 {
		reconcileOnce(t, bot)
	}
	if got := compared.Load() - before; before == 0 || got != 0 {
		t.Errorf("nine reconciles without a change read %d objects field by field, and those before %d", got, before)
	}
	notReady := runningPod(pod.Status.PodIP, false)
	setPodStatus(t, pod, notReady)
	waitReconciled(t, bot)
	if got := compared.Load() - before; got != 0 {
		t.Errorf("when a pod was not ready any more, the operator read %d objects field by field", got)
	}
	change(t, bot, func() { bot.Spec.Channel.Name = "another" })
	eventually(t, "objects are compared again", func(context.Context) error {
		if compared.Load() == before {
			return errors.New("not yet")
		}
		return nil
	})
}

// What was as desired in the last reconcile is compared again when somebody changes or deletes it.
func TestEveryObjectIsPutBackAfterAReconcileWithoutAChange(t *testing.T) {
	bot := newBot(newNamespace(t))
	createReady(t, bot)
	waitReconciled(t, bot)
	for key, object := range liveObjects(t, bot) {
		edit := fmt.Appendf(nil, `{"metadata":{"labels":{"app.kubernetes.io/name":%q}}}`, "edited")
		if err := rig.admin.Patch(t.Context(), object, client.RawPatch(types.MergePatchType, edit)); err != nil {
			t.Fatal(err)
		}
		eventually(t, key.String()+" is put back", func(ctx context.Context) error {
			if err := rig.admin.Get(ctx, client.ObjectKeyFromObject(object), object); err != nil {
				return err
			}
			if got := object.GetLabels()["app.kubernetes.io/name"]; got != "rosey" {
				return fmt.Errorf("its label is %q", got)
			}
			return nil
		})
	}
	waitReconciled(t, bot)
	for key, object := range liveObjects(t, bot) {
		if _, isClaim := object.(*corev1.PersistentVolumeClaim); isClaim {
			continue // a finalizer keeps it
		}
		before := object.GetUID()
		if err := rig.admin.Delete(t.Context(), object); err != nil {
			t.Fatal(err)
		}
		eventually(t, key.String()+" is created again", func(ctx context.Context) error {
			if err := rig.admin.Get(ctx, client.ObjectKeyFromObject(object), object); err != nil {
				return err
			}
			if object.GetUID() == before {
				return errors.New("it is still there")
			}
			return nil
		})
	}
}

// reconcileCounts counts the reconciles of each RoseyBot: each lists the Deployments of one.
type reconcileCounts struct{ of sync.Map }

// countingClient is a client whose lists are counted.
type countingClient struct {
	client.Client

	counts *reconcileCounts
}

func (c countingClient) List(ctx context.Context, list client.ObjectList, options ...client.ListOption) error {
	if _, ofDeployments := list.(*appsv1.DeploymentList); ofDeployments {
		wanted := (&client.ListOptions{}).ApplyOptions(options)
		name, _ := wanted.FieldSelector.RequiresExactMatch(roseyBotIndex)
		c.counts.counter(wanted.Namespace, name).Add(1)
	}
	return c.Client.List(ctx, list, options...)
}

func (c *reconcileCounts) client(inner client.Client) client.Client { return countingClient{inner, c} }

func (c *reconcileCounts) counter(namespace, name string) *atomic.Int32 {
	found, _ := c.of.LoadOrStore(client.ObjectKey{Namespace: namespace, Name: name}, new(atomic.Int32))
	counter, _ := found.(*atomic.Int32)
	return counter
}

// reconcileOnce has the controller reconcile a RoseyBot, and returns when that has ended. A reconcile by the test would
// run beside those of the controller, of which there is never more than one at a time.
func reconcileOnce(t *testing.T, bot *v1alpha1.RoseyBot) {
	t.Helper()
	reconcileOnceBy(t, rig.operator, &rig.reconciles, bot)
}

func reconcileOnceBy(t *testing.T, operator *Reconciler, counts *reconcileCounts, bot *v1alpha1.RoseyBot) {
	t.Helper()
	reconciles := counts.counter(bot.Namespace, bot.Name)
	for range 3 { // the first may have begun before, and the second has ended when the third begins
		before := reconciles.Load()
		operator.probes.changed <- event.GenericEvent{Object: bot}
		eventually(t, "a reconcile", func(context.Context) error {
			if reconciles.Load() == before {
				return errors.New("there was none")
			}
			return nil
		})
	}
}
