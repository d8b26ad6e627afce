package controllers

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	clientgoapply "k8s.io/client-go/applyconfigurations"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"rosey.dev/rosey/api/v1alpha1"
	"rosey.dev/rosey/controllers/manifests"
)

// The operator reads no Secrets: pods mount them. Where the API server checks owner references, setting one needs the
// right to delete the object, also a claim, and blockOwnerDeletion in it needs the update of finalizers.
//
// +kubebuilder:rbac:groups=rosey.dev,resources=roseybots,verbs=get;list;watch
// +kubebuilder:rbac:groups=rosey.dev,resources=roseybots/status;roseybots/finalizers,verbs=update
// +kubebuilder:rbac:groups=apps,resources=deployments,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups="",resources=services;configmaps;serviceaccounts,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups="",resources=persistentvolumeclaims,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups=networking.k8s.io,resources=networkpolicies,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups=policy,resources=poddisruptionbudgets,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups=autoscaling,resources=horizontalpodautoscalers,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups="",resources=pods,verbs=get;list;watch
// +kubebuilder:rbac:groups=events.k8s.io,resources=events,verbs=create;patch

// NewScheme returns a scheme with every type the operator uses.
func NewScheme() (*runtime.Scheme, error) {
	scheme := runtime.NewScheme()
	if err := errors.Join(clientgoscheme.AddToScheme(scheme), v1alpha1.AddToScheme(scheme)); err != nil {
		return nil, fmt.Errorf("registering the types: %w", err)
	}
	return scheme, nil
}

// CacheOptions makes the cache hold only what carries the operator's label, so that its size follows the number of
// RoseyBots and not the cluster's. Without namespaces it holds those of all.
func CacheOptions(namespaces []string) cache.Options {
	ours := labels.SelectorFromSet(labels.Set{manifests.LabelManagedBy: manifests.ManagedBy})
	options := cache.Options{ByObject: map[client.Object]cache.ByObject{}, DefaultNamespaces: map[string]cache.Config{}}
	options.DefaultTransform = func(object any) (any, error) {
		if pod, isPod := object.(*corev1.Pod); isPod { // all that a pass looks at
			pod.Spec = corev1.PodSpec{NodeName: pod.Spec.NodeName, Volumes: pod.Spec.Volumes}
		}
		return cache.TransformStripManagedFields()(object) // most of what is left; a write reads them
	}
	for _, kind := range kinds {
		options.ByObject[kind.object] = cache.ByObject{Label: ours}
	}
	for _, namespace := range namespaces {
		options.DefaultNamespaces[namespace] = cache.Config{}
	}
	return options
}

// New returns the Reconciler of a manager.
func New(manager ctrl.Manager, params manifests.Params, prober Prober) *Reconciler {
	return &Reconciler{
		Client: manager.GetClient(),
		Live:   manager.GetAPIReader(),
		Params: params,
		Build:  manifests.Build,
		Prober: prober,
		Events: manager.GetEventRecorder(manifests.ManagedBy),
		Types:  clientgoapply.NewTypeConverter(manager.GetScheme()),
	}
}

// SetupWithManager starts a pass whenever a RoseyBot or anything that carries its label changes. Changes of the
// status count too: a pass that worked on an old one is put right by the pass that the newer one starts.
func (r *Reconciler) SetupWithManager(ctx context.Context, manager ctrl.Manager) error {
	setup := ctrl.NewControllerManagedBy(manager).
		For(&v1alpha1.RoseyBot{}).
		WithOptions(controller.Options{
			// A pass may wait for processes that do not answer: others go on meanwhile.
			MaxConcurrentReconciles: 4,
			RateLimiter: workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](
				200*time.Millisecond, latestLook),
		})
	for _, kind := range kinds {
		setup = setup.Watches(kind.object, handler.EnqueueRequestsFromMapFunc(roseyBotOf))
	}
	if err := r.watchOwners(ctx, manager, setup); err != nil {
		return err
	}
	if err := setup.Complete(r); err != nil {
		return fmt.Errorf("setting up the controller: %w", err)
	}
	return nil
}

func roseyBotOf(_ context.Context, object client.Object) []reconcile.Request {
	name := object.GetLabels()[manifests.LabelRoseyBot]
	if name == "" {
		return nil
	}
	return []reconcile.Request{{NamespacedName: types.NamespacedName{Namespace: object.GetNamespace(), Name: name}}}
}

const sharedFromIndex = "sharedFrom"

// watchOwners starts a pass for the RoseyBots that share the database service of one that changes.
func (r *Reconciler) watchOwners(ctx context.Context, manager ctrl.Manager, setup *builder.Builder) error {
	setup.Watches(&v1alpha1.RoseyBot{}, handler.EnqueueRequestsFromMapFunc(r.sharingWith))
	err := manager.GetFieldIndexer().IndexField(ctx, &v1alpha1.RoseyBot{}, sharedFromIndex,
		func(object client.Object) []string {
			if bot, ok := object.(*v1alpha1.RoseyBot); ok && manifests.SharedFrom(bot) != "" {
				return []string{manifests.SharedFrom(bot)}
			}
			return nil
		})
	if err != nil {
		return fmt.Errorf("indexing RoseyBots by database.sharedFrom: %w", err)
	}
	return nil
}

func (r *Reconciler) sharingWith(ctx context.Context, owner client.Object) (requests []reconcile.Request) {
	bots := &v1alpha1.RoseyBotList{}
	_ = r.Client.List(ctx, bots, client.InNamespace(owner.GetNamespace()),
		client.MatchingFields{sharedFromIndex: owner.GetName()}) // from the cache, which fails only at the end
	for i := range bots.Items {
		requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&bots.Items[i])})
	}
	return requests
}
