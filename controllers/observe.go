package controllers

import (
	"context"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"rosey.dev/rosey/api/v1alpha1"
	"rosey.dev/rosey/controllers/manifests"
)

// kinds are the kinds of objects that belong to RoseyBots.
var kinds = []struct {
	object client.Object
	list   client.ObjectList
}{
	{&appsv1.Deployment{}, &appsv1.DeploymentList{}},
	{&corev1.ConfigMap{}, &corev1.ConfigMapList{}},
	{&corev1.PersistentVolumeClaim{}, &corev1.PersistentVolumeClaimList{}},
	{&corev1.Pod{}, &corev1.PodList{}},
	{&corev1.Service{}, &corev1.ServiceList{}},
	{&corev1.ServiceAccount{}, &corev1.ServiceAccountList{}},
	{&networkingv1.NetworkPolicy{}, &networkingv1.NetworkPolicyList{}},
	{&policyv1.PodDisruptionBudget{}, &policyv1.PodDisruptionBudgetList{}},
	{&autoscalingv2.HorizontalPodAutoscaler{}, &autoscalingv2.HorizontalPodAutoscalerList{}},
}

// observed is the state of the cluster as far as it concerns one RoseyBot.
type observed struct {
	manifests.Observed
	pods map[manifests.Component][]corev1.Pod
	// sharers are the RoseyBots that share the database service which the RoseyBot uses, and servicePods its pods.
	sharers     []v1alpha1.RoseyBot
	servicePods []corev1.Pod
	// server is how many RoseyBots use the CyTube server.
	server serverUse
}

// roseyBotIndex is an index of the objects of RoseyBots by the RoseyBot that their label names. Without it each
// reconcile would look at all objects of the namespace.
const roseyBotIndex = "roseyBot"

// indexByRoseyBot adds the index of one kind of objects to a cache. An index that IndexField adds would have a second
// entry for each object, for lists of all namespaces, which takes memory and which nobody uses.
func indexByRoseyBot(ctx context.Context, of cache.Cache, kind client.Object) error {
	informer, err := of.GetInformer(ctx, kind, cache.BlockUntilSynced(false))
	if err == nil {
		// Name and key are those of IndexField, so that List finds them.
		err = informer.AddIndexers(toolscache.Indexers{"field:" + roseyBotIndex: func(item any) ([]string, error) {
			object, isObject := item.(client.Object)
			if !isObject || object.GetLabels()[manifests.LabelRoseyBot] == "" {
				return nil, nil
			}
			return []string{object.GetNamespace() + "/" + object.GetLabels()[manifests.LabelRoseyBot]}, nil
		}})
	}
	if err != nil {
		return fmt.Errorf("indexing %T: %w", kind, err)
	}
	return nil
}

// observe reads all objects that carry the RoseyBot's label, and the owner of a shared database service, from the
// cache.
func (r *Reconciler) observe(ctx context.Context, bot *v1alpha1.RoseyBot) (observed, error) {
	found := newObserved()
	for _, kind := range kinds {
		list, _ := kind.list.DeepCopyObject().(client.ObjectList)
		err := r.Client.List(ctx, list, client.InNamespace(bot.Namespace),
			client.MatchingFields{roseyBotIndex: bot.Name})
		if err == nil {
			err = meta.EachListItem(list, found.add)
		}
		if err != nil {
			return observed{}, fmt.Errorf("listing %T: %w", list, err)
		}
	}
	found.findClaimPods(manifests.ClaimName(bot))
	found.countTemplates()
	r.memories.of(bot).adoptGenerations(found)
	r.memories.of(bot).forgetCreated(found, r.now().Add(-r.cacheLag))
	if name := manifests.SharedFrom(bot); name != "" {
		owner := &v1alpha1.RoseyBot{}
		switch err := r.Client.Get(ctx, client.ObjectKey{Namespace: bot.Namespace, Name: name}, owner); {
		case err == nil:
			found.Owner = owner
		case client.IgnoreNotFound(err) != nil:
			return observed{}, fmt.Errorf("reading RoseyBot %s: %w", name, err)
		}
	}
	var err error
	if found.NamespaceUID, err = r.namespaceUID(ctx, bot); err != nil {
		return observed{}, err
	}
	found.server = r.serverUse(bot)
	err = r.observeSharing(ctx, bot, &found)
	return found, err
}

// namespaceUID returns the UID of a RoseyBot's namespace, which only a database service of its own needs. It is read
// once for all RoseyBots of the namespace. It is empty if the operator may not read the namespace.
func (r *Reconciler) namespaceUID(ctx context.Context, bot *v1alpha1.RoseyBot) (types.UID, error) {
	if !manifests.HasService(bot) {
		return "", nil
	}
	memory := r.memories.of(bot)
	if memory.namespaceUID == nil {
		memory.namespaceUID = r.sharedNamespaceUID(ctx, bot)
	}
	if memory.namespaceUID != nil {
		return *memory.namespaceUID, nil
	}
	namespace := &corev1.Namespace{}
	err := r.Live.Get(ctx, client.ObjectKey{Name: bot.Namespace}, namespace)
	switch {
	case apierrors.IsForbidden(err): // not read again in each reconcile: the permission comes with another operator
	case apierrors.IsNotFound(err):
		return "", nil
	case err != nil:
		return "", fmt.Errorf("reading namespace %s: %w", bot.Namespace, err)
	}
	memory.namespaceUID = new(namespace.UID)
	r.memories.addNamespace(bot, memory.namespaceUID)
	return namespace.UID, nil
}

// sharedNamespaceUID returns what was read for another RoseyBot of the namespace that still exists, or nil. A namespace
// that is created again has none of the RoseyBots of the former one.
func (r *Reconciler) sharedNamespaceUID(ctx context.Context, bot *v1alpha1.RoseyBot) *types.UID {
	known := r.memories.namespace(bot.Namespace)
	other := &v1alpha1.RoseyBot{}
	err := r.Client.Get(ctx, client.ObjectKey{Namespace: bot.Namespace, Name: known.bot}, other)
	if known.uid == nil || err != nil || other.UID != known.botUID {
		return nil
	}
	return known.uid
}

func newObserved() observed {
	return observed{
		Observed: manifests.Observed{
			Objects:   map[manifests.Key]client.Object{},
			ClaimPods: map[manifests.Component]string{},
			Pods:      map[manifests.Component]manifests.PodCount{},
		},
		pods: map[manifests.Component][]corev1.Pod{},
	}
}

// add adds an item of a list. Its kind has to be set, as it is in what the cache returns.
func (o observed) add(item runtime.Object) error {
	switch item := item.(type) {
	case *corev1.Pod:
		component := manifests.Component(item.Labels[manifests.LabelComponent])
		o.pods[component] = append(o.pods[component], *item)
	case client.Object:
		o.Objects[manifests.KeyOf(item)] = item
	}
	return nil
}
