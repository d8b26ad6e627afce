package chaos

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"rosey.dev/rosey/runtime/backoff"
)

const (
	recordedTime = 6 * time.Minute
	recordedStep = 5 * time.Second
)

// recordedSeries is a series of a recording. A value of "" stands for none.
type recordedSeries struct {
	Labels map[string]string `json:"labels"`
	Values []string          `json:"values"`
}

// record writes what the chart's rules read while all is as it should be: people chat, and everything is replaced once,
// as by updates, and the servers restart. A test of the chart evaluates the rules with it. Causes are not made then.
func (c *Cluster) record(t *testing.T, w *watch, file string) {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), recordedTime)
	defer stop()
	begin := time.Now()
	done := make(chan struct{})
	go func() { defer close(done); c.cytube.Chat(ctx, 1, time.Second) }()
	for _, change := range []func(context.Context) error{
		c.roll,
		c.patching(`{"spec":{"podMetadata":{"annotations":{"example.com/roll":"1"}}}}`),
		c.restarting(operatorNamespace, "deployment/rosey-operator"),
		c.patching(`{"spec":{"suspend":true}}`),
		c.patching(`{"spec":{"suspend":false}}`),
		c.restarting(namespace, "statefulset/postgres"),
		c.restarting(namespace, "statefulset/durable-nats"),
		c.restarting(namespace, "deployment/cytube"),
	} {
		if !backoff.Sleep(ctx, recordedTime/10) {
			t.Fatal(ctx.Err())
		}
		if err := change(ctx); err != nil {
			t.Fatal(err)
		}
	}
	<-done
	w.write(t, file, begin, time.Now())
}

func (c *Cluster) restarting(namespace, workload string) func(context.Context) error {
	return func(ctx context.Context) error {
		return c.kube(ctx, "", "rollout", "restart", workload, "--namespace", namespace)
	}
}

// write writes the series that the chart's rules read.
func (w *watch) write(t *testing.T, file string, begin, end time.Time) {
	t.Helper()
	metrics := regexp.MustCompile(`\b(?:rosey|roseybot|controller_runtime)_\w+`).FindAllString(chartRules(t), -1)
	slices.Sort(metrics)
	query := url.Values{
		"query": {`{__name__=~"` + strings.Join(slices.Compact(metrics), "|") + `"}`},
		"start": {begin.Format(time.RFC3339)}, "end": {end.Format(time.RFC3339)}, "step": {recordedStep.String()},
	}
	var reply struct {
		Error string
		Data  struct {
			Result []struct {
				Metric map[string]string
				Values [][2]any // time in seconds and value as text
			}
		}
	}
	response, err := http.PostForm(w.url+"/api/v1/query_range", query) //nolint:noctx // at the end of a test
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	if err := json.NewDecoder(response.Body).Decode(&reply); err != nil || len(reply.Data.Result) == 0 {
		t.Fatalf("%d series are recorded: %s %v", len(reply.Data.Result), reply.Error, err)
	}
	var all []recordedSeries
	for _, one := range reply.Data.Result {
		delete(one.Metric, "instance")
		values := make([]string, int(end.Sub(begin)/recordedStep)+1)
		for _, value := range one.Values {
			at, _ := value[0].(float64)
			text, _ := value[1].(string)
			values[int(time.Duration(at*float64(time.Second)).Seconds()-float64(begin.Unix()))/int(recordedStep.Seconds())] = text
		}
		all = append(all, recordedSeries{one.Metric, values})
	}
	data, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Logf("recorded %d series of %s", len(all), end.Sub(begin))
}
