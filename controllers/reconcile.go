// Package controllers makes the cluster run what RoseyBots ask for. A pass observes, applies, and writes the status;
// each step has a file of its name.
package controllers

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/util/managedfields"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"rosey.dev/rosey/api/v1alpha1"
	"rosey.dev/rosey/controllers/manifests"
)

// Reconciler makes the cluster run what RoseyBots ask for.
type Reconciler struct {
	Client client.Client // reads from the cache, which holds only what carries the operator's label
	Live   client.Reader // reads what stands in the way of a new object without carrying the label
	Params manifests.Params
	Build  func(*v1alpha1.RoseyBot, manifests.Params) (manifests.Set, error)
	Prober Prober
	Events events.EventRecorder
	Types  managedfields.TypeConverter // compares desired and live objects as the API server would

	replaced sync.Map // by RoseyBot: the resourceVersion that our last status took the place of
}

// Reconcile is one pass over one RoseyBot.
func (r *Reconciler) Reconcile(ctx context.Context, request reconcile.Request) (reconcile.Result, error) {
	bot := &v1alpha1.RoseyBot{}
	if err := r.Client.Get(ctx, request.NamespacedName, bot); err != nil {
		r.replaced.Delete(request.NamespacedName)
		return reconcile.Result{}, client.IgnoreNotFound(err)
	}
	if !bot.DeletionTimestamp.IsZero() {
		return reconcile.Result{}, nil // the garbage collector removes what the RoseyBot owns
	}
	seen, err := r.observe(ctx, bot)
	if err != nil {
		return reconcile.Result{}, fmt.Errorf("observing RoseyBot %s: %w", request, err)
	}
	outcome := r.apply(ctx, bot, seen)
	now := time.Now()
	status := computeStatus(situation{outcome, bot, seen, r.Prober.ask(ctx, bot, seen)}, now)
	if err := errors.Join(outcome.err, r.writeStatus(ctx, bot, status)); err != nil {
		return reconcile.Result{}, fmt.Errorf("reconciling RoseyBot %s: %w", request, err)
	}
	return reconcile.Result{RequeueAfter: nextLook(bot, status, now)}, nil
}
