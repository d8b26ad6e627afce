package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"path"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/yaml"

	"rosey.dev/rosey/api/v1alpha1"
	"rosey.dev/rosey/runtime/status"
)

const (
	// maxSupportFile and maxSupportFiles bound one file of an archive and all of them together, in bytes.
	maxSupportFile  = 4 << 20
	maxSupportFiles = 64 << 20
	// maxSupportPods bounds the pods whose logs and processes are read, and maxSupportLines the lines of each log.
	maxSupportPods  = 50
	maxSupportLines = int64(5000)
)

// supportParts are what an archive has, in the order in which it is read.
var supportParts = []struct {
	what    string
	rights  []right
	collect func(*collector, context.Context) error
}{
	{"versions", nil, (*collector).versions},
	{"the RoseyBot", []right{getBots}, (*collector).roseyBot},
	{"the objects of the RoseyBot", objectRights(), (*collector).objects},
	{"events", []right{to("list", "", "events")}, (*collector).events},
	{"logs", []right{listPods, readLogs}, (*collector).logs},
	{"what the processes say", []right{listPods, forwardPorts}, (*collector).processes},
	{"nodes", []right{getNodes}, (*collector).nodes},
	{"the CustomResourceDefinition", []right{getDefinitions}, (*collector).definition},
}

var (
	getNodes       = right{verb: "get", resource: "nodes", clusterWide: true}
	getDefinitions = right{
		verb: "get", group: "apiextensions.k8s.io", resource: "customresourcedefinitions", clusterWide: true,
	}
)

// supportObjects are the kinds of objects of a RoseyBot. Secrets are none of them.
var supportObjects = []struct{ group, version, resource string }{
	{"apps", "v1", "deployments"}, {"apps", "v1", "replicasets"}, {"", "v1", "pods"}, {"batch", "v1", "jobs"},
	{"", "v1", "persistentvolumeclaims"}, {"", "v1", "configmaps"}, {"", "v1", "services"},
	{"networking.k8s.io", "v1", "networkpolicies"}, {"policy", "v1", "poddisruptionbudgets"},
	{"autoscaling", "v2", "horizontalpodautoscalers"},
}

func objectRights() (rights []right) {
	for _, kind := range supportObjects {
		rights = append(rights, to("list", kind.group, kind.resource))
	}
	return rights
}

// supportRights are all that an archive is read with.
func supportRights() (rights []right) {
	seen := map[right]bool{getBots: true}
	for _, part := range supportParts {
		for _, one := range part.rights {
			if !seen[one] {
				rights = append(rights, one)
			}
			seen[one] = true
		}
	}
	return rights
}

// collector reads what goes into an archive.
type collector struct {
	cluster  *cluster
	bot      *v1alpha1.RoseyBot
	options  supportOptions
	censor   *censor
	files    []supportFile
	size     int
	problems []string
	pods     []corev1.Pod
	// own are the objects that were read, as "Kind/name", and unlisted the kinds that could not be read.
	own      map[string]bool
	unlisted []string
}

// supportFile is a file of an archive.
type supportFile struct {
	name    string
	content []byte
}

func newCollector(cluster *cluster, bot *v1alpha1.RoseyBot, options supportOptions) *collector {
	return &collector{
		cluster: cluster, bot: bot, options: options, censor: newCensor(options.pluginLogs),
		own: map[string]bool{"RoseyBot/" + bot.Name: true},
	}
}

// problem notes that something is missing in the archive.
func (c *collector) problem(what string, err error) {
	c.problems = append(c.problems, status.Printable(c.censor.text(fmt.Sprintf("%s: %v", what, err))))
}

// add adds a file, or its beginning if it is too large, without what is known to be secret. It is cut after that,
// because half a secret would not be found.
func (c *collector) add(name string, content []byte) {
	content = []byte(c.censor.text(string(content)))
	if limit := min(maxSupportFile, maxSupportFiles-c.size); len(content) > limit {
		c.problem(name, fmt.Errorf("%d bytes, of which the first %d are here", len(content), limit))
		content = content[:limit]
	}
	c.size += len(content)
	c.files = append(c.files, supportFile{name, content})
}

// addStream adds a file of lines that a pod has written, or its beginning if it is too large.
func (c *collector) addStream(name string, stream io.Reader) error {
	content, err := io.ReadAll(io.LimitReader(stream, maxSupportFile+1))
	if len(content) > maxSupportFile {
		content = content[:bytes.LastIndexByte(content, '\n')+1] // half a line may have half a secret
		c.problem(name, fmt.Errorf("more than %d bytes, of which the first %d are here", maxSupportFile, len(content)))
	}
	c.add(name, status.PrintableLines(content))
	return err //nolint:wrapcheck // the caller says what it was
}

// addObject adds an object of Kubernetes as YAML, without what may be secret.
func (c *collector) addObject(name string, object any) error {
	c.censor.object(object)
	text, err := yaml.Marshal(c.censor.texts(object))
	if err != nil {
		return fmt.Errorf("encoding %s: %w", name, err)
	}
	c.add(name, text)
	return nil
}

// get reads an object of the API server.
func (c *collector) get(ctx context.Context, request *rest.Request, needed right) (map[string]any, error) {
	text, err := readAnswer(ctx, request)
	if err != nil {
		return nil, c.cluster.explain(ctx, err, needed)
	}
	var object map[string]any
	if err := json.Unmarshal(text, &object); err != nil {
		return nil, fmt.Errorf("decoding: %w", err)
	}
	return object, nil
}

// path returns a request for a path of the API server.
func (c *collector) path(group, version string, segments ...string) *rest.Request {
	root := path.Join("/apis", group, version)
	if group == "" {
		root = path.Join("/api", version)
	}
	return c.cluster.kube.CoreV1().RESTClient().Get().AbsPath(append([]string{root}, segments...)...)
}

func (c *collector) versions(ctx context.Context) error {
	text := fmt.Sprintf("kubectl-rosey %s\n", buildVersion())
	server, err := discovery.ToServerVersionInterfaceWithContext(c.cluster.kube.Discovery()).ServerVersionWithContext(ctx)
	if err == nil {
		text += fmt.Sprintf("Kubernetes %s %s\n", server.GitVersion, server.Platform)
	}
	c.add("versions.txt", []byte(text))
	return err //nolint:wrapcheck // the caller says what it was
}

// roseyBot adds the RoseyBot, and the one whose database it uses.
func (c *collector) roseyBot(ctx context.Context) error {
	var all []error
	found := map[string]map[string]any{}
	for _, name := range []string{c.bot.Name, sharedFrom(c.bot)} {
		if name == "" {
			continue
		}
		request := c.path(v1alpha1.GroupVersion.Group, v1alpha1.GroupVersion.Version,
			"namespaces", c.cluster.namespace, botResource, name)
		object, err := c.get(ctx, request, getBots)
		if err == nil {
			found[name] = object
			c.censor.object(object) // all values are to be known before the first text is added
		}
		all = append(all, err)
	}
	for _, name := range slices.Sorted(maps.Keys(found)) {
		all = append(all, c.addObject("roseybot-"+name+".yaml", found[name]))
	}
	return errors.Join(all...)
}

// eachPod calls do with each pod of the RoseyBot.
func (c *collector) eachPod(ctx context.Context, do func(pod *corev1.Pod) error) error {
	if c.pods == nil {
		pods, err := c.cluster.pods(ctx, c.bot.Name)
		if err != nil {
			return err
		}
		if len(pods) > maxSupportPods {
			c.problem("pods", fmt.Errorf("%d, of which the first %d are read", len(pods), maxSupportPods))
			pods = pods[:maxSupportPods]
		}
		c.pods = pods
	}
	var all []error
	for i := range c.pods {
		all = append(all, do(&c.pods[i]))
	}
	return errors.Join(all...)
}

// logs adds the logs of all containers, and of those before their last restart.
func (c *collector) logs(ctx context.Context) error {
	return c.eachPod(ctx, func(pod *corev1.Pod) error {
		var all []error
		for _, container := range pod.Status.ContainerStatuses {
			if isForeign(container.Name) && !c.options.pluginLogs {
				c.problem("logs of container "+container.Name+" of "+pod.Name, errNotRoseys)
				continue
			}
			if container.ContainerID != "" {
				all = append(all, c.log(ctx, pod, container.Name, false))
			}
			if container.RestartCount > 0 {
				all = append(all, c.log(ctx, pod, container.Name, true))
			}
		}
		return errors.Join(all...)
	})
}

var errNotRoseys = errors.New("left out, because the image is not Rosey's: see --plugin-logs")

func (c *collector) log(ctx context.Context, pod *corev1.Pod, container string, previous bool) error {
	query := podLogOptions(container, logOptions{since: c.options.since, tail: maxSupportLines})
	query.Previous = previous
	name := "logs/" + pod.Name + "/" + container + map[bool]string{true: ".previous"}[previous] + ".log"
	stream, err := c.cluster.kube.CoreV1().Pods(pod.Namespace).GetLogs(pod.Name, query).Stream(ctx)
	if err != nil {
		return c.cluster.explain(ctx, fmt.Errorf("%s: %w", name, err), readLogs)
	}
	defer func() { _ = stream.Close() }() // it was only read
	return c.addStream(name, stream)
}

// processes adds what each process says, and its metrics.
func (c *collector) processes(ctx context.Context) error {
	return c.eachPod(ctx, func(pod *corev1.Pod) error {
		if !isRunning(pod) || statusPort(pod) == 0 {
			return nil
		}
		return c.cluster.withProcess(ctx, pod, func(url string) error {
			return errors.Join(
				c.fetch(ctx, url+status.StatusPath, "processes/"+pod.Name+".status.json"),
				c.fetch(ctx, url+status.MetricsPath, "processes/"+pod.Name+".metrics.txt"))
		})
	})
}

func (c *collector) fetch(ctx context.Context, url, name string) error {
	client := status.NewClient(nil)
	client.Timeout = processTimeout
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	response, err := client.Do(request)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	defer func() { _ = response.Body.Close() }() // it was only read
	if err := c.addStream(name, response.Body); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// nodes adds the versions and the conditions of the nodes on which pods are.
func (c *collector) nodes(ctx context.Context) error {
	seen := map[string]bool{"": true}
	return c.eachPod(ctx, func(pod *corev1.Pod) error {
		if seen[pod.Spec.NodeName] {
			return nil
		}
		seen[pod.Spec.NodeName] = true
		node, err := c.get(ctx, c.path("", "v1", "nodes", pod.Spec.NodeName), getNodes)
		if err != nil {
			return fmt.Errorf("%s: %w", pod.Spec.NodeName, err)
		}
		state, _ := node["status"].(map[string]any)
		return c.addObject("nodes/"+pod.Spec.NodeName+".yaml", map[string]any{
			"conditions": state["conditions"], "nodeInfo": state["nodeInfo"], "allocatable": state["allocatable"],
		})
	})
}

// definition adds the versions of the CustomResourceDefinition.
func (c *collector) definition(ctx context.Context) error {
	request := c.path("apiextensions.k8s.io", "v1", "customresourcedefinitions",
		botResource+"."+v1alpha1.GroupVersion.Group)
	object, err := c.get(ctx, request, getDefinitions)
	if err != nil {
		return err
	}
	metadata, _ := object["metadata"].(map[string]any)
	spec, _ := object["spec"].(map[string]any)
	versions, _ := spec["versions"].([]any)
	for _, version := range versions {
		if fields, ok := version.(map[string]any); ok {
			delete(fields, "schema") // it is known by the version of the operator
		}
	}
	return c.addObject("customresourcedefinition.yaml", map[string]any{
		"annotations": metadata["annotations"], "creationTimestamp": metadata["creationTimestamp"],
		"versions": versions, "status": object["status"],
	})
}

// archive returns the archive of what was added.
func (c *collector) archive(name string) archive {
	problems := &bytes.Buffer{}
	for _, problem := range c.problems {
		fmt.Fprintln(problems, problem)
	}
	return archive{name: name, files: append([]supportFile{{"problems.txt", problems.Bytes()}}, c.files...)}
}
