package controllers

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"rosey.dev/rosey/runtime/config"
)

// laggingNamespace and deletingNamespace are not watched by the operator of the other tests.
const (
	laggingNamespace  = "lagging"
	deletingNamespace = "deleting"
)

// laggingClient is a client whose cache has no claims yet. There is a stream of changes for each kind of objects.
type laggingClient struct{ client.Client }

func (c laggingClient) List(ctx context.Context, list client.ObjectList, options ...client.ListOption) error {
	if _, ofClaims := list.(*corev1.PersistentVolumeClaimList); ofClaims {
		return nil
	}
	return c.Client.List(ctx, list, options...)
}

// The service decides by the claim whether it may take over a stream. A reconcile that did not see the claim yet, which
// was just created, wrote that there is none.
func TestTheChannelListKeepsAClaimThatTheCacheLacks(t *testing.T) {
	newNamespace(t) // skips the test without an API server
	create(t, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: laggingNamespace}})
	clock, reconciles := &fakeClock{}, &reconcileCounts{}
	var operator *Reconciler
	stop := runOperator(t, laggingNamespace, func(r *Reconciler) {
		operator = r
		r.Client, r.now = reconciles.client(laggingClient{r.Client}), clock.now
	})
	defer stop()
	bot := newBot(laggingNamespace)
	create(t, bot)
	eventually(t, "the list of channels is in the cache", func(ctx context.Context) error {
		list := client.ObjectKey{Namespace: laggingNamespace, Name: "movienight-channels"}
		return operator.Client.Get(ctx, list, &corev1.ConfigMap{})
	})
	check := func(when string) {
		t.Helper()
		reconcileOnceBy(t, operator, reconciles, bot)
		list, err := get(t.Context(), &corev1.ConfigMap{}, laggingNamespace, "movienight-channels")
		if err != nil {
			t.Fatal(err)
		}
		got, err := config.ParseProvenance([]byte(list.Data[config.ProvenanceFile]))
		if err != nil || !got.PVCCreated.Equal(getClaim(t, bot).CreationTimestamp.Time) || !got.OnlyPVC {
			t.Errorf("%s: the service is told %+v, %v", when, got, err)
		}
		for _, one := range rig.requests.of(t, laggingNamespace) {
			if one.method == http.MethodPatch && strings.HasSuffix(one.path, "/movienight-channels") {
				t.Errorf("%s: the list of channels was written again", when)
			}
		}
	}
	check("the claim was created")
	clock.seconds.Add(int64(2 * maxCacheLag / time.Second))
	check("the claim should be in the cache by now")
}

// deletingClient is a client beside which somebody deletes the next NetworkPolicy as soon as it is created.
type deletingClient struct {
	client.Client

	armed *atomic.Bool
}

func (c deletingClient) Create(ctx context.Context, object client.Object, options ...client.CreateOption) error {
	if err := c.Client.Create(ctx, object, options...); err != nil {
		return err
	}
	if _, isPolicy := object.(*networkingv1.NetworkPolicy); !isPolicy || !c.armed.Load() {
		return nil
	}
	defer c.armed.Store(false)
	return rig.admin.Delete(ctx, object)
}

// A reconcile that finds an object absent from the cache which was just created writes nothing. Without another one, a
// RoseyBot that was ready stayed without its NetworkPolicy.
func TestAnObjectThatIsDeletedAtOnceIsCreatedAgain(t *testing.T) {
	newNamespace(t) // skips the test without an API server
	create(t, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: deletingNamespace}})
	armed := &atomic.Bool{}
	defer runOperator(t, deletingNamespace, func(r *Reconciler) {
		r.Client, r.cacheLag = deletingClient{r.Client, armed}, 200*time.Millisecond
	})()
	bot := newBot(deletingNamespace)
	toDirect(bot) // when it is ready, nothing else starts a reconcile
	createReady(t, bot)
	armed.Store(true)
	policy := &networkingv1.NetworkPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: "movienight-bot", Namespace: deletingNamespace},
	}
	if err := rig.admin.Delete(t.Context(), policy); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the NetworkPolicy is back", func(ctx context.Context) error {
		if armed.Load() {
			return errors.New("it was not created yet")
		}
		_, err := get(ctx, &networkingv1.NetworkPolicy{}, deletingNamespace, policy.Name)
		return err
	})
}
