package chaos

import (
	"context"
	"fmt"
	"maps"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"rosey.dev/rosey/runtime/backoff"
)

const (
	recordedTime = 6 * time.Minute
	recordedStep = 5 * time.Second
)

// record writes what the chart's rules read while all is as it should be: people chat, and everything is replaced once,
// as by updates, and the servers restart. A test of the chart evaluates the rules with it.
func (c *Cluster) record(t *testing.T, w *watch, file string) {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), recordedTime)
	defer stop()
	begin := time.Now()
	done := make(chan struct{})
	go func() { defer close(done); c.cytube.Chat(ctx, 1, time.Second) }()
	for _, change := range []func(context.Context) error{
		c.roll,
		c.patching(secondResource, `{"spec":{"podMetadata":{"annotations":{"example.com/roll":"1"}}}}`),
		c.restarting(operatorNamespace, "deployment/rosey-operator"),
		c.patching(secondResource, `{"spec":{"suspend":true}}`),
		c.patching(secondResource, `{"spec":{"suspend":false}}`),
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

// write writes the series that the chart's rules read, each as "NAME{LABELS} VALUES" with the values as promtool reads
// them. Of counters of a pod that stay 0, of which there are many, there is one for each metric.
func (w *watch) write(t *testing.T, file string, begin, end time.Time) {
	t.Helper()
	metrics := regexp.MustCompile(`\b(?:rosey|roseybot|controller_runtime)_\w+`).FindAllString(chartRules(t), -1)
	slices.Sort(metrics)
	query := url.Values{
		"query": {`{__name__=~"` + strings.Join(slices.Compact(metrics), "|") + `"}`},
		"start": {begin.Format(time.RFC3339)}, "end": {end.Format(time.RFC3339)}, "step": {recordedStep.String()},
	}
	var found []struct {
		Metric map[string]string
		Values [][2]any // time in seconds and value as text
	}
	if err := w.get(t.Context(), "/api/v1/query_range?"+query.Encode(), &found); err != nil {
		t.Fatal(err)
	}
	var lines []string
	zeros := map[string]bool{}
	for _, one := range found {
		values := make([]string, end.Sub(begin)/recordedStep+1)
		for _, value := range one.Values {
			seconds, _ := value[0].(float64)
			values[(int64(seconds)-begin.Unix())/int64(recordedStep.Seconds())], _ = value[1].(string)
		}
		isZero := !slices.ContainsFunc(values, func(value string) bool { return strings.Trim(value, "0") != "" })
		if group := one.Metric["__name__"] + one.Metric["pod"]; isZero {
			if zeros[group] {
				continue
			}
			zeros[group] = true
		}
		lines = append(lines, seriesName(one.Metric)+" "+notation(values)+"\n")
	}
	slices.Sort(lines)
	if err := os.WriteFile(file, []byte(strings.Join(lines, "")), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Logf("recorded %d of %d series in %s", len(lines), len(found), end.Sub(begin))
}

// notation returns values as promtool reads them. A value of "" stands for none.
func notation(values []string) string {
	var parts []string
	for start := 0; start < len(values); {
		end := start + 1
		for end < len(values) && values[end] == values[start] {
			end++
		}
		value, more := values[start], end-start-1
		if value == "" {
			parts = append(parts, "stale")
			value = "_"
		}
		switch {
		case more > 0:
			parts = append(parts, value+"x"+strconv.Itoa(more))
		case value != "_":
			parts = append(parts, value)
		}
		start = end
	}
	return strings.Join(parts, " ")
}

func seriesName(labels map[string]string) string {
	var pairs []string
	for _, name := range slices.Sorted(maps.Keys(labels)) {
		if name != "__name__" && name != "instance" && name != "job" {
			pairs = append(pairs, fmt.Sprintf("%s=%q", name, labels[name]))
		}
	}
	return labels["__name__"] + "{" + strings.Join(pairs, ",") + "}"
}
