package chaos

import (
	"bytes"
	"context"
	"encoding/json"
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
)

// watch is a Prometheus with the rules of the chart and shorter times.
type watch struct {
	url   string
	names []string // of its alerts
}

// startWatch starts a Prometheus that scrapes all processes each second.
func startWatch(t *testing.T, world *Processes) *watch {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(cache, "rosey", "tools", "prometheus", "prometheus")
	if _, err := os.Stat(program); err != nil {
		t.Skip("no Prometheus: make test unpacks Debian's package")
	}
	rules, err := os.ReadFile("../../charts/rosey-operator/files/alerts.yaml")
	if err != nil {
		t.Fatal(err)
	}
	short := shorten(string(rules))
	dir := t.TempDir()
	config := "global: {scrape_interval: 1s, evaluation_interval: 1s}\nrule_files: [rules.yaml]\n" +
		"scrape_configs:\n- job_name: pods\n  static_configs:\n"
	for _, m := range append(slices.Clone(world.dbs), world.bots...) {
		config += fmt.Sprintf("  - {targets: ['%s'], labels: {namespace: films, name: rosey, pod: %s}}\n", m.http, m.name)
	}
	for file, content := range map[string]string{"rules.yaml": short, "prometheus.yaml": config} {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	port, err := freePort(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	server := exec.CommandContext(t.Context(), program, "--config.file="+filepath.Join(dir, "prometheus.yaml"),
		"--log.level=warn", "--storage.tsdb.path="+filepath.Join(dir, "data"), "--web.listen-address=127.0.0.1:"+port)
	server.Stdout, server.Stderr = &log, &log
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = server.Process.Kill()
		_ = server.Wait()
		if t.Failed() {
			t.Logf("log of Prometheus:\n%s", log.String())
		}
	})
	w := &watch{url: "http://127.0.0.1:" + port}
	// The operator does not run here: its alerts and those about conditions are left out.
	processes := short[strings.Index(short, "- name: rosey-processes"):]
	for _, found := range regexp.MustCompile(`- alert: (\w+)`).FindAllStringSubmatch(processes, -1) {
		w.names = append(w.names, found[1])
	}
	if len(w.names) < 5 {
		t.Fatalf("alerts about processes are %v", w.names)
	}
	return w
}

// shorten returns rules with times of at most half a minute, a sixtieth of the others, and with lower limits.
func shorten(rules string) string {
	times := regexp.MustCompile(`(for: |\[)(\d+)([mhd])`)
	units := map[string]int{"m": 1, "h": 60, "d": 24 * 60}
	rules = times.ReplaceAllStringFunc(rules, func(found string) string {
		parts := times.FindStringSubmatch(found)
		count, _ := strconv.Atoi(parts[2]) // digits
		return fmt.Sprintf("%s%ds", parts[1], min(count*units[parts[3]], 30))
	})
	return strings.NewReplacer(
		"(rosey_bus_buffered) > 1000", "(rosey_bus_buffered) > 10", ")) > 6", ")) > 2",
	).Replace(rules)
}

// query returns the series of a query, each as its labels.
func (w *watch) query(ctx context.Context, query string) ([]map[string]string, error) {
	address := w.url + "/api/v1/query?query=" + url.QueryEscape(query)
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }()
	var reply struct {
		Error string
		Data  struct {
			Result []struct{ Metric map[string]string }
		}
	}
	if err := json.NewDecoder(response.Body).Decode(&reply); err != nil {
		return nil, err
	}
	if reply.Error != "" {
		return nil, fmt.Errorf("query %s: %s", query, reply.Error)
	}
	var series []map[string]string
	for _, one := range reply.Data.Result {
		series = append(series, one.Metric)
	}
	return series, nil
}

// shows returns an error unless a query has a result.
func (w *watch) shows(ctx context.Context, query string) error {
	series, err := w.query(ctx, query)
	if err == nil && len(series) == 0 {
		err = fmt.Errorf("%s has no result", query)
	}
	return err
}

// firing returns an error unless exactly one alert of this name fires with these labels, or none if fires is false.
func (w *watch) firing(ctx context.Context, name string, labels map[string]string, fires bool) error {
	series, err := w.query(ctx, fmt.Sprintf(`ALERTS{alertstate="firing", alertname=%q}`, name))
	switch {
	case err != nil:
		return err
	case !fires && len(series) == 0:
		return nil
	case !fires || len(series) != 1:
		return fmt.Errorf("%s fires as %v, want it to fire: %v", name, series, fires)
	}
	for label, value := range labels {
		if series[0][label] != value {
			return fmt.Errorf("%s fires with the labels %v, want %v", name, series[0], labels)
		}
	}
	return nil
}

// everFired returns the alerts about processes that have fired since the start.
func (w *watch) everFired(ctx context.Context) ([]map[string]string, error) {
	const query = `count by (alertname, pod) (max_over_time(ALERTS{alertstate="firing", alertname=~%q}[1h]))`
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
