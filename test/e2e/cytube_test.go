package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"

	"rosey.dev/rosey/hack/cytube/simulator"
)

// cytubeChannel is a channel of the CyTube server in the cluster, reached through the API server.
type cytubeChannel string

func (c cytubeChannel) path(resource string) string {
	return fmt.Sprintf("/api/v1/namespaces/%s/services/cytube:http/proxy/simulator/channels/%s/%s", namespace, c, resource)
}

func (c cytubeChannel) post(t *testing.T, resource string, body any) {
	t.Helper()
	if err := c.tryPost(t.Context(), resource, body); err != nil {
		t.Fatal(err)
	}
}

func (c cytubeChannel) tryPost(ctx context.Context, resource string, body any) error {
	data, err := json.Marshal(body)
	if err != nil {
		return err
	}
	request := cluster.clientset.CoreV1().RESTClient().Post().AbsPath(c.path(resource)).Body(data)
	if err := request.Do(ctx).Error(); err != nil {
		return fmt.Errorf("POST %s %s: %w", resource, data, err)
	}
	return nil
}

func (c cytubeChannel) get(ctx context.Context, resource string, out any) error {
	data, err := cluster.clientset.CoreV1().RESTClient().Get().AbsPath(c.path(resource)).DoRaw(ctx)
	if err != nil {
		return fmt.Errorf("GET %s: %w", resource, err)
	}
	return json.Unmarshal(data, out)
}

func (c cytubeChannel) join(t *testing.T, user string) {
	t.Helper()
	c.post(t, "join", map[string]string{"user": user})
}

func (c cytubeChannel) say(t *testing.T, user, text string) {
	t.Helper()
	if err := c.trySay(t.Context(), user, text); err != nil {
		t.Fatal(err)
	}
}

func (c cytubeChannel) trySay(ctx context.Context, user, text string) error {
	return c.tryPost(ctx, "say", map[string]string{"user": user, "text": text})
}

// script lets simulated people join, chat and leave, and waits until the last one has left.
func (c cytubeChannel) script(t *testing.T, seconds int) {
	t.Helper()
	c.post(t, "script", map[string]int{"seconds": seconds, "seed": 1, "pace_ms": 50})
	eventually(t, scriptLimit(seconds), "the script ends", func(ctx context.Context) error {
		var status simulator.ScriptStatus
		if err := c.get(ctx, "script", &status); err != nil {
			return err
		}
		if status.State == simulator.ScriptRunning {
			return fmt.Errorf("still running")
		}
		return nil
	})
}

// log returns the server's log of the channel.
func (c cytubeChannel) log(ctx context.Context) ([]simulator.Entry, error) {
	var body struct {
		Entries []simulator.Entry `json:"entries"`
	}
	err := c.get(ctx, "log", &body)
	return body.Entries, err
}

// present reports whether a user is in the channel's user list.
func (c cytubeChannel) present(ctx context.Context, user string) (bool, error) {
	var body struct {
		Users []simulator.User `json:"users"`
	}
	if err := c.get(ctx, "users", &body); err != nil {
		return false, err
	}
	for _, one := range body.Users {
		if one.Name == user {
			return true, nil
		}
	}
	return false, nil
}
