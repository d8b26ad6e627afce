package chaos

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"rosey.dev/rosey/runtime/backoff"
	"rosey.dev/rosey/test/porttest"
	"rosey.dev/rosey/test/processtest"
)

// watch is a Prometheus with the rules of the chart and shorter times.
type watch struct {
	url   string
	names []string // of its alerts
}

// startWatch starts a Prometheus that scrapes all processes each second.
func startWatch(t *testing.T, world *Processes) *watch {
	t.Helper()
	rules := shorten(chartRules(t))
	jobs := "- job_name: pods\n  static_configs:\n"
	for _, m := range append(slices.Clone(world.dbs), world.bots...) {
		jobs += fmt.Sprintf("  - {targets: ['%s'], labels: {namespace: films, name: rosey, pod: %s}}\n", m.http, m.name)
	}
	port := strconv.Itoa(porttest.Free(t))
	program, arguments := prometheus(t, t.TempDir(), rules, jobs, port)
	processtest.Start(t, exec.CommandContext(t.Context(), program, arguments...))
	// The operator does not run here: its alerts and those about conditions are left out.
	names := alertNames(rules[strings.Index(rules, "- name: rosey-processes"):])
	if len(names) < 5 {
		t.Fatalf("alerts about processes are %v", names)
	}
	return &watch{url: "http://127.0.0.1:" + port, names: names}
}

func chartRules(t *testing.T) string {
	t.Helper()
	rules, err := os.ReadFile("../../charts/rosey-operator/files/alerts.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return string(rules)
}

func alertNames(rules string) (names []string) {
	for _, found := range regexp.MustCompile(`- alert: (\w+)`).FindAllStringSubmatch(rules, -1) {
		names = append(names, found[1])
	}
	return names
}

// prometheus returns the command that starts a Prometheus which listens on a port of loopback, has its files in dir and
// scrapes the targets of some jobs each second. It skips the test where there is none.
func prometheus(t *testing.T, dir, rules, jobs, port string) (program string, arguments []string) {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	program = filepath.Join(cache, "rosey", "tools", "prometheus", "prometheus")
	if _, err := os.Stat(program); err != nil {
		t.Skip("no Prometheus: make test unpacks Debian's package")
	}
	config := "global: {scrape_interval: 1s, evaluation_interval: 1s}\nrule_files: [rules.yaml]\nscrape_configs:\n" + jobs
	for file, content := range map[string]string{"rules.yaml": rules, "prometheus.yaml": config} {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return program, []string{
		"--config.file=" + filepath.Join(dir, "prometheus.yaml"), "--log.level=warn",
		"--storage.tsdb.path=" + filepath.Join(dir, "data"), "--web.listen-address=127.0.0.1:" + port,
	}
}

// shorten returns rules with times of at most half a minute, a sixtieth of the others, and with lower limits.
func shorten(rules string) string {
	return strings.NewReplacer(") > 1000", ") > 10", ")) > 6", ")) > 2").Replace(scale(rules, 1, 30))
}

// scale returns rules whose ranges have some seconds for each minute, at most the given number. The times of "for" and
// "keep_firing_for" have one second for each minute, at most 30.
func scale(rules string, perMinute, most int) string {
	times := regexp.MustCompile(`(for: |\[)(\d+)([mhd])`)
	units := map[string]int{"m": 1, "h": 60, "d": 24 * 60}
	return times.ReplaceAllStringFunc(rules, func(found string) string {
		parts := times.FindStringSubmatch(found)
		count, _ := strconv.Atoi(parts[2]) // digits
		seconds := min(count*units[parts[3]], 30)
		if parts[1] == "[" {
			seconds = min(count*units[parts[3]]*perMinute, most)
		}
		return fmt.Sprintf("%s%ds", parts[1], seconds)
	})
}

// query returns the series of a query, each as its labels.
func (w *watch) query(ctx context.Context, query string) ([]map[string]string, error) {
	var found []struct{ Metric map[string]string }
	if err := w.get(ctx, "/api/v1/query?query="+url.QueryEscape(query), &found); err != nil {
		return nil, fmt.Errorf("query %s: %w", query, err)
	}
	var series []map[string]string
	for _, one := range found {
		series = append(series, one.Metric)
	}
	return series, nil
}

// get decodes the result in a reply of Prometheus's API.
func (w *watch) get(ctx context.Context, path string, result any) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, w.url+path, nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	reply := struct {
		Error string
		Data  struct{ Result any }
	}{}
	reply.Data.Result = result
	if err := json.NewDecoder(response.Body).Decode(&reply); err != nil {
		return err
	}
	if reply.Error != "" {
		return errors.New(reply.Error)
	}
	return nil
}

// shows returns an error unless a query has a result.
func (w *watch) shows(ctx context.Context, query string) error {
	series, err := w.query(ctx, query)
	if err == nil && len(series) == 0 {
		err = fmt.Errorf("%s has no result", query)
	}
	return err
}

// firing returns an error unless as many alerts of this name fire as there are sets of labels, each with one of them.
func (w *watch) firing(ctx context.Context, name string, sets ...map[string]string) error {
	series, err := w.query(ctx, fmt.Sprintf(`ALERTS{alertstate="firing", alertname=%q}`, name))
	if err != nil {
		return err
	}
	for _, labels := range sets {
		if !slices.ContainsFunc(series, func(one map[string]string) bool { return hasLabels(one, labels) }) {
			return fmt.Errorf("%s fires with the labels %v, want %v", name, series, labels)
		}
	}
	if len(series) != len(sets) {
		return fmt.Errorf("%s fires with the labels %v, want %v", name, series, sets)
	}
	return nil
}

// hasLabels reports whether a series has some labels. A value "" stands for a label that it does not have.
func hasLabels(series, labels map[string]string) bool {
	for name, value := range labels {
		if series[name] != value {
			return false
		}
	}
	return true
}

// everFired returns the alerts that have fired since the start.
func (w *watch) everFired(ctx context.Context) ([]map[string]string, error) {
	const query = `count by (alertname, namespace, name, pod) ` +
		`(max_over_time(ALERTS{alertstate="firing", alertname=~%q}[1h]))`
	return w.query(ctx, fmt.Sprintf(query, strings.Join(w.names, "|")))
}

// eventually waits until condition returns nil.
func eventually(t *testing.T, what string, condition func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	for {
		err := condition(ctx)
		if err == nil {
			return
		}
		if !backoff.Sleep(ctx, 200*time.Millisecond) {
			t.Fatalf("%s: %v", what, err)
		}
	}
}

// crowd is people who chat. While kicks is set, one of them kicks the bot whenever it is there.
type crowd struct{ kicks atomic.Bool }

// startCrowd lets people chat until the test ends.
func startCrowd(t *testing.T, world *Processes) *crowd {
	t.Helper()
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	c := &crowd{}
	var workers sync.WaitGroup
	workers.Go(func() { world.cytube.Chat(ctx, 1, 200*time.Millisecond) })
	workers.Go(func() {
		for backoff.Sleep(ctx, time.Second) {
			if c.kicks.Load() {
				_ = world.cytube.post(ctx, world.cytube.channelPath("kick"), map[string]string{
					"user": botName, "reason": "test",
				}) // fails while the bot is not there
			}
		}
	})
	t.Cleanup(func() { stop(); workers.Wait() })
	return c
}
