package chaos

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"rosey.dev/rosey/api/v1alpha1"
	"rosey.dev/rosey/runtime/bus"
)

const (
	clusterName = "chaos"
	namespace   = "demo"  // as in hack/demo
	botResource = "chaos" // the RoseyBot in testdata/roseybot.yaml
	natsPod     = "durable-nats-0"
	postgresPod = "postgres-0"
)

// Cluster runs the bot with the operator on a local cluster with two real nodes: two bots, two database services,
// PostgreSQL, and NATS with a PersistentVolumeClaim.
type Cluster struct {
	repository   string // its directory
	dir          string // for the run's files
	rosey        string // the program that reads the database
	kubectl      string
	kubeconfig   string
	client       client.Client
	cytube       *CyTube
	natsURL      string
	showConfig   string
	rolls        int
	healthySince time.Time // zero while something is not healthy
	closers      []func()
}

// StartCluster starts a cluster with all that a run needs. Close removes it.
func StartCluster(ctx context.Context, repository, rosey, dir string) (c *Cluster, err error) {
	c = &Cluster{repository: repository, rosey: rosey, dir: dir}
	c.closers = append(c.closers, func() {
		_, _ = c.command(context.WithoutCancel(ctx), "hack/demo/demo", "down", "--name", clusterName)
	})
	defer func() {
		if err != nil {
			c.Close()
		}
	}()
	steps := []func(context.Context) error{
		c.boot, c.connect, c.pinCyTube, c.installServers, c.installBot, c.openForwards,
	}
	for _, step := range steps {
		if err := step(ctx); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// boot starts the cluster with what `make demo` installs: NATS, the CyTube server, the operator.
func (c *Cluster) boot(ctx context.Context) error {
	for _, line := range []string{
		"hack/demo/demo down --name " + clusterName, // a run that was killed may have left it
		"hack/cluster/cluster up --name " + clusterName + " --nodes 2",
		"hack/demo/demo up --seconds 0 --quiet-end --name " + clusterName,
	} {
		command := strings.Fields(line)
		if _, err := c.command(ctx, command[0], command[1:]...); err != nil {
			return err
		}
	}
	image := filepath.Join(c.dir, "postgres.tar")
	const tool = "hack/cluster/cluster"
	if _, err := c.command(ctx, tool, "image-postgres", "--name-tag", postgresImage, "--output", image); err != nil {
		return err
	}
	_, err := c.command(ctx, tool, "load-image", "--name", clusterName, image)
	return err
}

const postgresImage = "rosey.local/postgres:chaos"

func (c *Cluster) connect(ctx context.Context) error {
	tools, err := c.command(ctx, "hack/cluster/cluster", "bin")
	if err != nil {
		return err
	}
	c.kubectl = filepath.Join(tools, "kubectl")
	if c.kubeconfig, err = c.command(ctx, "hack/cluster/cluster", "kubeconfig", "--name", clusterName); err != nil {
		return err
	}
	config, err := clientcmd.BuildConfigFromFlags("", c.kubeconfig)
	if err != nil {
		return fmt.Errorf("reading %s: %w", c.kubeconfig, err)
	}
	config.QPS, config.Burst = 100, 200
	log.SetLogger(logr.Discard())
	scheme := runtime.NewScheme()
	if err := clientgoscheme.AddToScheme(scheme); err != nil {
		return fmt.Errorf("creating a scheme: %w", err)
	}
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		return fmt.Errorf("creating a scheme: %w", err)
	}
	if c.client, err = client.New(config, client.Options{Scheme: scheme}); err != nil {
		return fmt.Errorf("creating a client: %w", err)
	}
	return nil
}

// pinCyTube keeps the CyTube server on the first node, since its log is only in memory, and removes the demo's bot.
func (c *Cluster) pinCyTube(ctx context.Context) error {
	const stay = `{"spec":{"template":{"spec":{"nodeSelector":{"kubernetes.io/hostname":"node1"},` +
		`"tolerations":[{"operator":"Exists"}]}}}}`
	if err := c.kube(ctx, "", "patch", "deployment", "cytube", "--patch", stay); err != nil {
		return err
	}
	// If DNS were cut off together with the leader, the standby would suffer two faults at once.
	err := c.kube(ctx, "", "patch", "deployment", "coredns", "--namespace", "kube-system", "--patch", stay)
	if err != nil {
		return err
	}
	// Foreground: the pod of the demo's bot must be gone, too. It has the account that the next bot uses, and the last
	// login of that account tells which pod is the leader.
	if err := c.kube(ctx, "", "delete", "roseybot", "--all", "--cascade=foreground"); err != nil {
		return err
	}
	return c.kube(ctx, "", "rollout", "status", "deployment/cytube", "--timeout=300s")
}

// pinToFirstNode adds a node selector for the CyTube server's node. The guarantees hold for one fault at a time;
// cutting off the leader together with the only NATS server would be two.
var pinToFirstNode = strings.NewReplacer("      automountServiceAccountToken: false\n",
	"      automountServiceAccountToken: false\n      nodeSelector: {kubernetes.io/hostname: node1}\n")

func (c *Cluster) installServers(ctx context.Context) error {
	nats := &corev1.PodList{}
	err := c.client.List(ctx, nats, client.InNamespace(namespace), client.MatchingLabels{"app": "nats"})
	if err != nil || len(nats.Items) == 0 {
		return fmt.Errorf("finding the image of NATS: %d pods: %w", len(nats.Items), err)
	}
	image := nats.Items[0].Spec.Containers[0].Image
	for file, change := range map[string]*strings.Replacer{
		"test/chaos/testdata/nats.yaml":   strings.NewReplacer("THE_IMAGE", image),
		"test/e2e/testdata/postgres.yaml": strings.NewReplacer("THE_IMAGE", postgresImage, "THE_PASSWORD", rand.Text()),
	} {
		text, err := os.ReadFile(filepath.Join(c.repository, file))
		if err != nil {
			return fmt.Errorf("reading a manifest: %w", err)
		}
		if err := c.kube(ctx, pinToFirstNode.Replace(change.Replace(string(text))), "apply", "-f", "-"); err != nil {
			return err
		}
	}
	return c.kube(ctx, "", "rollout", "status", "statefulset/durable-nats", "statefulset/postgres", "--timeout=300s")
}

func (c *Cluster) installBot(ctx context.Context) error {
	manifest := filepath.Join(c.repository, "test/chaos/testdata/roseybot.yaml")
	if err := c.kube(ctx, "", "apply", "-f", manifest); err != nil {
		return err
	}
	return c.kube(ctx, "", "wait", "roseybot/"+botResource, "--for=condition=Ready", "--timeout=300s")
}

// command runs a program of the repository and returns its output.
func (c *Cluster) command(ctx context.Context, name string, args ...string) (string, error) {
	//nolint:gosec // the repository's own scripts
	command := exec.CommandContext(ctx, filepath.Join(c.repository, name), args...)
	var stderr bytes.Buffer
	command.Stderr = &stderr
	out, err := command.Output()
	if err != nil {
		return "", fmt.Errorf("%s %s: %w: %s%s", name, strings.Join(args, " "), err, out, stderr.String())
	}
	return strings.TrimSpace(string(out)), nil
}

// kube runs kubectl with input as its standard input.
func (c *Cluster) kube(ctx context.Context, input string, args ...string) error {
	args = append([]string{"--kubeconfig", c.kubeconfig, "--namespace", namespace}, args...)
	command := exec.CommandContext(ctx, c.kubectl, args...) //nolint:gosec // the cluster's own program
	command.Stdin = strings.NewReader(input)
	if out, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("kubectl %s: %w: %s", strings.Join(args, " "), err, out)
	}
	return nil
}

// Close removes the cluster.
func (c *Cluster) Close() { closeAll(c.closers) }

// CyTube returns the simulator in the cluster.
func (c *Cluster) CyTube() *CyTube { return c.cytube }

// Bot returns the name of the account.
func (c *Cluster) Bot() string { return botName }

// Bus returns the URL of NATS in the cluster, through a forwarded port.
func (c *Cluster) Bus() (string, bus.Subjects) {
	return c.natsURL, mustSubjects("rosey_" + namespace + "_" + botResource)
}

// Stored reads PostgreSQL in the cluster, through a forwarded port.
func (c *Cluster) Stored(ctx context.Context) (Stored, error) {
	return show(ctx, c.rosey, c.showConfig)
}

// openForwards makes the servers that the run itself uses reachable from outside the cluster.
func (c *Cluster) openForwards(ctx context.Context) error {
	addresses := map[string]string{}
	for name, port := range map[string]string{"cytube": "8880", "durable-nats": "4222", "postgres": "5432"} {
		service := &corev1.Service{}
		if err := c.client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, service); err != nil {
			return fmt.Errorf("getting Service %s: %w", name, err)
		}
		address, err := c.forward(ctx, name, service.Spec.ClusterIP+":"+port)
		if err != nil {
			return err
		}
		addresses[name] = address
	}
	c.cytube = &CyTube{Client: http.DefaultClient, Base: "http://" + addresses["cytube"], Channel: "chaos"}
	c.natsURL = "nats://" + addresses["durable-nats"]
	return c.writeShowConfig(ctx, addresses["postgres"])
}

// writeShowConfig writes the configuration that `rosey db show` uses.
func (c *Cluster) writeShowConfig(ctx context.Context, postgres string) error {
	secret := &corev1.Secret{}
	if err := c.client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: "postgres"}, secret); err != nil {
		return fmt.Errorf("reading PostgreSQL's password: %w", err)
	}
	urlFile := filepath.Join(c.dir, "url")
	url := fmt.Sprintf("postgres://postgres:%s@%s/rosey?sslmode=disable&connect_timeout=5",
		secret.Data["password"], postgres)
	c.showConfig = filepath.Join(c.dir, "show.yaml")
	config := fmt.Sprintf("channel: {server: 'http://cytube.demo.svc.cluster.local:8880', name: chaos}\n"+
		"nats: {url: '%s'}\ndatabase: {postgres: {urlFile: '%s'}}\n", c.natsURL, urlFile)
	for file, content := range map[string]string{urlFile: url, c.showConfig: config} {
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			return fmt.Errorf("writing the configuration for the database: %w", err)
		}
	}
	return nil
}
