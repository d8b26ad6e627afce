package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/remotecommand"
)

// rows is the output of `rosey db show --output json`: the rows of the bot's channel.
type rows struct {
	Chat  []chatRow `json:"chat"`
	Users []userRow `json:"users"`
}

type chatRow struct {
	Time     int64  `json:"time"` // Unix milliseconds
	Username string `json:"username"`
	Text     string `json:"html"` // as the CyTube server sent it
}

type userRow struct {
	Username string `json:"username"`
	Lines    int    `json:"lines"`
	// SessionStart is in Unix milliseconds; nil for a user who is not in the channel.
	SessionStart *int64 `json:"sessionStart"`
}

// readRows runs `rosey db show` in the database service's pod.
func readRows(ctx context.Context, bot string) (rows, error) {
	var out rows
	pods, err := podsOf(ctx, bot)
	if err != nil {
		return out, err
	}
	for _, pod := range pods {
		if pod.Labels["app.kubernetes.io/component"] != "database" || pod.DeletionTimestamp != nil {
			continue
		}
		data, err := runIn(ctx, namespace, pod.Name,
			"rosey", "db", "show", "--config", "/etc/rosey/database.yaml", "--limit", "0", "--output", "json")
		if err != nil {
			return out, err
		}
		return out, json.Unmarshal(data, &out)
	}
	return out, fmt.Errorf("RoseyBot %s has no database pod", bot)
}

// runIn runs a command in a pod, as kubectl exec does, and returns its standard output.
func runIn(ctx context.Context, space, pod string, command ...string) ([]byte, error) {
	request := cluster.clientset.CoreV1().RESTClient().Post().
		Resource("pods").Namespace(space).Name(pod).SubResource("exec").
		VersionedParams(&corev1.PodExecOptions{Command: command, Stdout: true, Stderr: true}, scheme.ParameterCodec)
	executor, err := remotecommand.NewWebSocketExecutor(cluster.config, "GET", request.URL().String())
	if err != nil {
		return nil, fmt.Errorf("preparing %s in %s: %w", strings.Join(command, " "), pod, err)
	}
	var stdout, stderr bytes.Buffer
	err = executor.StreamWithContext(ctx, remotecommand.StreamOptions{Stdout: &stdout, Stderr: &stderr})
	if err != nil {
		return nil, fmt.Errorf("%s in %s: %w: %s", strings.Join(command, " "), pod, err, stderr.String())
	}
	return stdout.Bytes(), nil
}
