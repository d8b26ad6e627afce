package controllers

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/go-logr/logr"
	"go.opentelemetry.io/otel/attribute"
	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/managedfields"
	clientgoapply "k8s.io/client-go/applyconfigurations"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/events"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"rosey.dev/rosey/api/v1alpha1"
	"rosey.dev/rosey/controllers/manifests"
	"rosey.dev/rosey/runtime/telemetry"
)

// The operator has no permission for Secrets: pods mount them. Some API servers check owner references: then setting
// one requires permission to delete the object, which includes claims, and blockOwnerDeletion requires permission to
// update the finalizers of the owner.
//
// +kubebuilder:rbac:groups=rosey.dev,resources=roseybots,verbs=list;watch
// +kubebuilder:rbac:groups=rosey.dev,resources=roseybots/status;roseybots/finalizers,verbs=update
// +kubebuilder:rbac:groups=apps,resources=deployments,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups="",resources=services;configmaps;serviceaccounts,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups="",resources=persistentvolumeclaims,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups=networking.k8s.io,resources=networkpolicies,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups=policy,resources=poddisruptionbudgets,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups=autoscaling,resources=horizontalpodautoscalers,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups="",resources=pods,verbs=list;watch
// +kubebuilder:rbac:groups="",resources=events,verbs=list
// +kubebuilder:rbac:groups="",resources=namespaces,verbs=get
// +kubebuilder:rbac:groups=events.k8s.io,resources=events,verbs=create;patch

// Reconciler reconciles RoseyBots. Its fields must not change after SetupWithManager.
type Reconciler struct {
	Client client.Client // reads from the cache, which holds only objects that carry the operator's label
	Live   client.Reader // reads from the API server: objects without the label, and managed fields
	Params manifests.Params
	// Build is manifests.Build, unless a test simulates another version of the operator.
	Build  func(*v1alpha1.RoseyBot, manifests.Params, manifests.Observed) ([]manifests.Desired, error)
	Events events.EventRecorder
	// Connections are how many bots the CyTube servers allow.
	Connections ConnectionLimits
	Types       managedfields.TypeConverter // knows the keys of lists, for comparing objects as the API server does

	probes       *prober
	statusWrites *limiter // of the generation that the status is about already
	objectWrites *limiter // of the same
	eventLimit   *limiter
	eventReads   *limiter
	// readEventsAfter is how old a pod that does not start has to be before its events are read.
	readEventsAfter time.Duration
	settleTime      time.Duration
	cacheLag        time.Duration // maxCacheLag, except in tests
	updates         *updates
	servers         *servers
	memories        *memories
	now             func() time.Time
}

// New returns the Reconciler of a manager. statusPort is the port at which pods serve their status.
func New(manager ctrl.Manager, params manifests.Params, statusPort int) *Reconciler {
	return &Reconciler{
		Client:       manager.GetClient(),
		Live:         manager.GetAPIReader(),
		Params:       params,
		Build:        manifests.Build,
		Events:       manager.GetEventRecorder(manifests.ManagedBy),
		Types:        clientgoapply.NewTypeConverter(manager.GetScheme()),
		probes:       newProber(statusPort),
		statusWrites: newLimiter(statusWritesOfBot, statusWritesOfNamespace),
		objectWrites: newLimiter(objectWritesOfBot, objectWritesOfNamespace),
		eventLimit:   newLimiter(eventsOfBot, eventsOfNamespace),
		eventReads:   newLimiter(eventReadsOfBot, eventReadsOfNamespace),
		updates:      newUpdates(DefaultAutomaticUpdates),
		servers:      newServers(),
		memories:     newMemories(),
		now:          time.Now,

		readEventsAfter: readEventsAfter, settleTime: settleTime, cacheLag: maxCacheLag,
	}
}

// Reconcile reconciles one RoseyBot.
func (r *Reconciler) Reconcile(ctx context.Context, request reconcile.Request) (reconcile.Result, error) {
	if err := r.load(ctx); err != nil { // before it is known that the RoseyBot is gone
		return reconcile.Result{}, err
	}
	bot := &v1alpha1.RoseyBot{}
	if err := r.Client.Get(ctx, request.NamespacedName, bot); err != nil {
		r.forget(request.NamespacedName)
		return reconcile.Result{}, client.IgnoreNotFound(err)
	}
	if !bot.DeletionTimestamp.IsZero() {
		r.servers.forget(request.NamespacedName)
		r.updates.forget(request.NamespacedName) // a finalizer may keep it, and others wait for their turn
		return reconcile.Result{}, nil           // the garbage collector deletes what the RoseyBot owns
	}
	isNew := bot.Status.ObservedGeneration != bot.Generation
	if !isNew && r.memories.of(bot).sent && !r.objectWrites.allows(request.NamespacedName, r.now()) {
		// Pods that change all the time start reconciles, and each would try again what has failed. A RoseyBot whose last
		// reconcile had nothing to write does not wait for those of its namespace that always have.
		return reconcile.Result{RequeueAfter: maxPollInterval}, nil
	}
	ctx, span := telemetry.Defer(ctx, "reconcile RoseyBot", func() []attribute.KeyValue {
		return spanAttributes(ctx, bot)
	})
	repeat, err := r.reconcile(ctx, bot, isNew)
	span.End(failureKind(err))
	if err != nil {
		return reconcile.Result{}, fmt.Errorf("reconciling RoseyBot %s: %w", request, err)
	}
	return reconcile.Result{RequeueAfter: repeat}, nil
}

// load reads, once, what has to be known of all RoseyBots that exist when the operator starts.
func (r *Reconciler) load(ctx context.Context) error {
	r.memories.loading.Lock()
	defer r.memories.loading.Unlock()
	if r.memories.loaded {
		return nil
	}
	bots := &v1alpha1.RoseyBotList{}
	if err := r.Client.List(ctx, bots, client.UnsafeDisableDeepCopy); err != nil {
		return fmt.Errorf("listing the RoseyBots that exist: %w", err)
	}
	r.servers.load(bots.Items)
	r.updates.load(bots.Items, r.Params, r.now())
	r.memories.loaded = true
	return nil
}

// spanAttributes returns the attributes of a reconcile in traces. The log has the same reconcileID.
func spanAttributes(ctx context.Context, bot *v1alpha1.RoseyBot) []attribute.KeyValue {
	return []attribute.KeyValue{
		attribute.String("k8s.namespace.name", bot.Namespace), attribute.String("rosey.roseybot.name", bot.Name),
		attribute.Int64("rosey.roseybot.generation", bot.Generation),
		attribute.String("rosey.reconcile.id", string(controller.ReconcileIDFromContext(ctx))),
	}
}

// failureKind returns the kind of an error of a reconcile for its span, which is one of a few, and "" for none. The
// text of the error may have what users and webhooks have written.
func failureKind(err error) string {
	switch {
	case err == nil:
		return ""
	case apierrors.IsConflict(err):
		return "conflict"
	case apierrors.IsForbidden(err):
		return "forbidden"
	case apierrors.IsInvalid(err):
		return "invalid"
	case apierrors.IsTimeout(err), apierrors.IsServerTimeout(err), errors.Is(err, context.DeadlineExceeded):
		return "timeout"
	case errors.Is(err, context.Canceled):
		return "canceled"
	}
	return "_OTHER"
}

// reconcile observes, applies and writes the status. It returns the time after which that is repeated although nothing
// changes, or 0. isNew is set if the status is about an older generation, or there is none.
func (r *Reconciler) reconcile(ctx context.Context, bot *v1alpha1.RoseyBot, isNew bool) (time.Duration, error) {
	key := client.ObjectKeyFromObject(bot)
	observed, err := r.observe(ctx, bot)
	if err != nil {
		return 0, err
	}
	applied := r.apply(ctx, bot, observed)
	now := r.now()
	memory := r.memories.of(bot)
	if memory.sent = applied.sent && !isNew; memory.sent {
		r.objectWrites.allow(key, now)
	}
	in := statusInput{bot: bot, observed: observed, applied: applied, reports: map[string]probeResult{}}
	r.probe(ctx, in)
	in.mountErrors = r.readMountErrors(ctx, in)
	in.update, in.updateFailed = r.updates.current(bot, now)
	r.warnCrowded(bot, observed.server)
	next := computeStatus(in, now)
	if in.update != nil && next.Update == nil {
		r.updates.forget(key)
	}
	repeat, retry := r.updates.poll(bot, pollInterval(bot, next, now), now), minPollInterval
	// The first result of probing a pod starts the next reconcile. Until then the status would say that the pod is
	// starting.
	if !r.probes.endReconcile(key) || isNew {
		retry, err = r.writeStatus(ctx, in, next)
	}
	repeat = sooner(repeat, retry)
	if len(memory.created) > 0 { // what is deleted before the cache has it may start no reconcile
		repeat = sooner(repeat, r.cacheLag)
	}
	return repeat, errors.Join(applied.err, err)
}

// sooner returns the shorter of two times after which a reconcile is repeated. 0 is never.
func sooner(one, other time.Duration) time.Duration {
	if one <= 0 || other <= 0 {
		return max(one, other)
	}
	return min(one, other)
}

// NewScheme returns a scheme with every type that the operator uses.
func NewScheme() (*runtime.Scheme, error) {
	scheme := runtime.NewScheme()
	if err := errors.Join(clientgoscheme.AddToScheme(scheme), v1alpha1.AddToScheme(scheme)); err != nil {
		return nil, fmt.Errorf("registering the API types: %w", err)
	}
	return scheme, nil
}

const sharedFromIndex = "sharedFrom"

// SetupWithManager starts a reconcile whenever a RoseyBot, an object that carries a RoseyBot's label, the owner of a
// shared database service, or what a pod reports changes. A change of the status alone starts none: it is the
// operator's own.
func (r *Reconciler) SetupWithManager(ctx context.Context, manager ctrl.Manager) error {
	newSpec := builder.WithPredicates(predicate.GenerationChangedPredicate{})
	takeOver := predicate.Funcs{UpdateFunc: takeOverChanged}
	controllerBuilder := ctrl.NewControllerManagedBy(manager).
		For(&v1alpha1.RoseyBot{}, builder.WithPredicates(predicate.Or(predicate.GenerationChangedPredicate{}, takeOver))).
		Watches(&v1alpha1.RoseyBot{}, handler.EnqueueRequestsFromMapFunc(r.requestsForSharers),
			builder.WithPredicates(predicate.Funcs{UpdateFunc: databaseChanged})).
		Watches(&v1alpha1.RoseyBot{}, handler.EnqueueRequestsFromMapFunc(requestForOwner), newSpec).
		WatchesRawSource(source.Channel(r.probes.changed, &handler.EnqueueRequestForObject{})).
		WithOptions(controller.Options{
			LogConstructor:          newLoggers(manager.GetLogger()),
			MaxConcurrentReconciles: 4, // a reconcile may wait for the API server
			RateLimiter: workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](
				200*time.Millisecond, maxPollInterval),
		})
	for _, kind := range kinds {
		controllerBuilder.Watches(kind.object, handler.EnqueueRequestsFromMapFunc(requestForLabel))
		if err := indexByRoseyBot(ctx, manager.GetCache(), kind.object); err != nil {
			return err
		}
	}
	err := manager.GetFieldIndexer().IndexField(ctx, &v1alpha1.RoseyBot{}, sharedFromIndex,
		func(object client.Object) []string {
			bot, _ := object.(*v1alpha1.RoseyBot)
			return []string{manifests.SharedFrom(bot)}
		})
	err = errors.Join(err, manager.GetFieldIndexer().IndexField(ctx, &corev1.Pod{}, servedByIndex, servedBy))
	if err = errors.Join(err, manager.Add(r.probes), controllerBuilder.Complete(r)); err != nil {
		return fmt.Errorf("setting up the controller: %w", err)
	}
	return nil
}

// newLoggers returns the loggers of reconciles, whose lines have the trace of the reconcile, and that of the rest.
func newLoggers(log logr.Logger) func(*reconcile.Request) logr.Logger {
	return func(of *reconcile.Request) logr.Logger {
		if of == nil {
			return log
		}
		return telemetry.DeferredLogger(log.WithValues("namespace", of.Namespace, "name", of.Name))
	}
}

// takeOverChanged reports whether a RoseyBot changed in which stream its database takes over.
func takeOverChanged(change event.UpdateEvent) bool {
	return change.ObjectOld.GetAnnotations()[v1alpha1.TakeOverAnnotation] !=
		change.ObjectNew.GetAnnotations()[v1alpha1.TakeOverAnnotation]
}

// databaseChanged reports whether a RoseyBot changed in what the status of its sharers depends on.
func databaseChanged(change event.UpdateEvent) bool {
	before, isBot := change.ObjectOld.(*v1alpha1.RoseyBot)
	after, alsoBot := change.ObjectNew.(*v1alpha1.RoseyBot)
	return isBot && alsoBot && (before.Generation != after.Generation || !apiequality.Semantic.DeepEqual(
		meta.FindStatusCondition(before.Status.Conditions, v1alpha1.ConditionDatabaseAvailable),
		meta.FindStatusCondition(after.Status.Conditions, v1alpha1.ConditionDatabaseAvailable)))
}

// requestForLabel returns a request for the RoseyBot that an object's label names. For the pod of a bot that shares a
// database service it returns one for the owner of the service too, which serves the channel as long as the pod exists.
func requestForLabel(_ context.Context, object client.Object) (requests []reconcile.Request) {
	names := []string{object.GetLabels()[manifests.LabelRoseyBot]}
	if owner := manifests.ReadServedChannel(object.GetAnnotations()).Owner; owner != names[0] {
		names = append(names, owner)
	}
	for _, name := range names {
		if name != "" {
			key := types.NamespacedName{Namespace: object.GetNamespace(), Name: name}
			requests = append(requests, reconcile.Request{NamespacedName: key})
		}
	}
	return requests
}

// requestsForSharers returns a request for each RoseyBot that shares the database service of owner.
func (r *Reconciler) requestsForSharers(ctx context.Context, owner client.Object) (requests []reconcile.Request) {
	bots := &v1alpha1.RoseyBotList{}
	_ = r.Client.List(ctx, bots, client.InNamespace(owner.GetNamespace()),
		client.MatchingFields{sharedFromIndex: owner.GetName()}) // the cache fails only while the operator shuts down
	for i := range bots.Items {
		requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&bots.Items[i])})
	}
	return requests
}
