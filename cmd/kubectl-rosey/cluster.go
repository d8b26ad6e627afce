package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"rosey.dev/rosey/api/v1alpha1"
	"rosey.dev/rosey/runtime/exit"
	"rosey.dev/rosey/runtime/status"
)

// Labels of the pods of a RoseyBot. They are those of package manifests, which only the operator imports.
const (
	labelRoseyBot  = "rosey.dev/roseybot"
	labelComponent = "app.kubernetes.io/component"
)

// pluginPrefix begins the component of a plugin with an image.
const pluginPrefix = string(status.PluginComponent) + "-"

const botResource = "roseybots"

// cluster is a connection to the API server of the chosen context.
type cluster struct {
	config *rest.Config
	kube   kubernetes.Interface
	// bots requests RoseyBots.
	bots *rest.RESTClient
	// namespace is the chosen one.
	namespace string
}

// connect returns a connection by the flags of the command line. It sends no request yet.
func (a *app) connect() (*cluster, error) {
	config, err := a.flags.ToRESTConfig()
	if err != nil {
		return nil, fmt.Errorf("reading the kubeconfig: %w", err)
	}
	namespace, _, err := a.flags.ToRawKubeConfigLoader().Namespace()
	if err != nil {
		return nil, fmt.Errorf("reading the kubeconfig: %w", err)
	}
	config.QPS, config.Burst = 50, 300 // as kubectl's own commands
	config.UserAgent = "kubectl-rosey/" + buildVersion()
	kube, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("creating a client: %w", err)
	}
	bots, err := newBotClient(config)
	if err != nil {
		return nil, err
	}
	return &cluster{config: config, kube: kube, bots: bots, namespace: namespace}, nil
}

// connectTo returns a connection, and the RoseyBot of a name.
func (a *app) connectTo(ctx context.Context, name string) (*cluster, *v1alpha1.RoseyBot, error) {
	cluster, err := a.connect()
	if err != nil {
		return nil, nil, err
	}
	bot, err := cluster.bot(ctx, name)
	if err != nil {
		return nil, nil, err
	}
	return cluster, bot, nil
}

func newBotClient(config *rest.Config) (*rest.RESTClient, error) {
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		return nil, fmt.Errorf("registering RoseyBot: %w", err)
	}
	config = rest.CopyConfig(config)
	config.APIPath, config.GroupVersion = "/apis", &v1alpha1.GroupVersion
	config.NegotiatedSerializer = serializer.NewCodecFactory(scheme).WithoutConversion()
	config.ContentType, config.AcceptContentTypes = runtime.ContentTypeJSON, runtime.ContentTypeJSON
	client, err := rest.RESTClientFor(config)
	if err != nil {
		return nil, fmt.Errorf("creating a client for RoseyBots: %w", err)
	}
	return client, nil
}

// bot returns a RoseyBot of the chosen namespace.
func (c *cluster) bot(ctx context.Context, name string) (*v1alpha1.RoseyBot, error) {
	var bot v1alpha1.RoseyBot
	err := c.bots.Get().Namespace(c.namespace).Resource(botResource).Name(name).Do(ctx).Into(&bot)
	if apierrors.IsNotFound(err) {
		return nil, c.notFound(name, err)
	}
	if err != nil {
		return nil, c.explain(ctx, fmt.Errorf("reading RoseyBot %s: %w", name, err), getBots)
	}
	return &bot, nil
}

// notFound returns the error for a RoseyBot that is not there, or for a cluster that knows no RoseyBots.
func (c *cluster) notFound(name string, err error) error {
	problem, ok := errors.AsType[*apierrors.StatusError](err)
	if ok && name != "" && problem.ErrStatus.Details != nil && problem.ErrStatus.Details.Name == name {
		return exit.Failedf("there is no RoseyBot %s in namespace %s", name, c.namespace)
	}
	return exit.Failedf("the cluster knows no RoseyBots: the operator's CustomResourceDefinition is not installed")
}

// listedBots returns the RoseyBots of a namespace, or of all for "", by namespace and name.
func (c *cluster) listedBots(ctx context.Context, namespace string) ([]v1alpha1.RoseyBot, error) {
	var list v1alpha1.RoseyBotList
	err := c.bots.Get().Namespace(namespace).Resource(botResource).Do(ctx).Into(&list)
	if apierrors.IsNotFound(err) {
		return nil, c.notFound("", err)
	}
	if err != nil {
		return nil, c.explainIn(ctx, namespace, fmt.Errorf("listing RoseyBots: %w", err), listBots)
	}
	slices.SortFunc(list.Items, func(a, b v1alpha1.RoseyBot) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	})
	return list.Items, nil
}

// pods returns the pods of a RoseyBot, by component and name.
func (c *cluster) pods(ctx context.Context, bot string) ([]corev1.Pod, error) {
	selector := labels.Set{labelRoseyBot: bot}.String()
	list, err := c.kube.CoreV1().Pods(c.namespace).List(ctx, metav1.ListOptions{LabelSelector: selector})
	if err != nil {
		return nil, c.explain(ctx, fmt.Errorf("listing pods: %w", err), listPods)
	}
	slices.SortFunc(list.Items, func(a, b corev1.Pod) int {
		return cmp.Or(cmp.Compare(componentOf(&a), componentOf(&b)), cmp.Compare(a.Name, b.Name))
	})
	return list.Items, nil
}

func componentOf(pod *corev1.Pod) status.Component {
	return status.Component(pod.Labels[labelComponent])
}

func isReady(pod *corev1.Pod) bool {
	return slices.ContainsFunc(pod.Status.Conditions, func(condition corev1.PodCondition) bool {
		return condition.Type == corev1.PodReady && condition.Status == corev1.ConditionTrue
	})
}

// isRunning reports whether the processes of a pod run and are to go on.
func isRunning(pod *corev1.Pod) bool {
	return pod.Status.Phase == corev1.PodRunning && pod.DeletionTimestamp == nil
}

// containerOf returns the index of the container of the runtime in a pod. Others may have been added by a service mesh.
func containerOf(pod *corev1.Pod) int {
	name := string(componentOf(pod))
	if strings.HasPrefix(name, pluginPrefix) {
		name = string(status.PluginComponent)
	}
	return max(0, slices.IndexFunc(pod.Spec.Containers, func(c corev1.Container) bool { return c.Name == name }))
}

// mayPass reports whether a request that has failed may succeed if it is sent again: the API server is restarted or has
// too much to do, the network is away, or the credentials have just been renewed.
func mayPass(err error) bool {
	if answer, ok := errors.AsType[*apierrors.StatusError](err); ok {
		code := answer.ErrStatus.Code
		return code >= http.StatusInternalServerError || code == http.StatusTooManyRequests ||
			code == http.StatusUnauthorized
	}
	_, unsent := errors.AsType[*url.Error](err)
	_, broken := errors.AsType[net.Error](err)
	return unsent || broken || utilnet.IsProbableEOF(err) || utilnet.IsHTTP2ConnectionLost(err)
}
