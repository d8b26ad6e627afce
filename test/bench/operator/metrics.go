package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const (
	operatorLabel = "app.kubernetes.io/component=operator"
	kibibyte      = 1 << 10
	mebibyte      = 1 << 20
)

// figures are sums of the operator's metrics.
type figures struct {
	requests, writes, reconciles float64
	resident                     float64 // bytes
	heap                         float64 // bytes live after the last garbage collection
	processor                    float64 // seconds
	reconciling                  float64 // seconds in reconciles
}

// scrape reads the metrics of the operator's pod through the API server.
func (c *cluster) scrape(ctx context.Context) (figures, error) {
	pods, err := c.clientset.CoreV1().Pods(operatorNamespace).List(ctx, metav1.ListOptions{LabelSelector: operatorLabel})
	if err != nil {
		return figures{}, fmt.Errorf("listing the operator's pods: %w", err)
	}
	if len(pods.Items) != 1 {
		return figures{}, fmt.Errorf("the operator has %d pods, expected one", len(pods.Items))
	}
	text, err := c.clientset.CoreV1().RESTClient().Get().Namespace(operatorNamespace).Resource("pods").
		Name(pods.Items[0].Name + ":8080").SubResource("proxy").Suffix("metrics").DoRaw(ctx)
	if err != nil {
		return figures{}, fmt.Errorf("reading the operator's metrics: %w", err)
	}
	return parseFigures(text)
}

// parseFigures returns the figures in the operator's metrics.
func parseFigures(text []byte) (figures, error) {
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(bytes.NewReader(text))
	if err != nil {
		return figures{}, fmt.Errorf("parsing the operator's metrics: %w", err)
	}
	all := func(*dto.Metric) bool { return true }
	out := figures{
		requests:   sum(families["rest_client_requests_total"], all),
		writes:     sum(families["rest_client_requests_total"], isWrite),
		reconciles: sum(families["controller_runtime_reconcile_total"], all),
		resident:   sum(families["process_resident_memory_bytes"], all),
		heap:       sum(families["go_gc_heap_live_bytes"], all),
		processor:  sum(families["process_cpu_seconds_total"], all),

		reconciling: sum(families["controller_runtime_reconcile_time_seconds"], all),
	}
	if out.resident == 0 || out.requests == 0 {
		return figures{}, errors.New("the operator's metrics lack its requests or its memory")
	}
	return out, nil
}

func sum(family *dto.MetricFamily, wanted func(*dto.Metric) bool) float64 {
	total := 0.0
	for _, metric := range family.GetMetric() {
		if wanted(metric) {
			total += metric.GetCounter().GetValue() + metric.GetGauge().GetValue() + metric.GetHistogram().GetSampleSum()
		}
	}
	return total
}

func isWrite(metric *dto.Metric) bool {
	for _, label := range metric.GetLabel() {
		if label.GetName() == "method" {
			return label.GetValue() != "GET"
		}
	}
	return false
}

// waitUntilIdle waits until the operator has sent little more than lease renewals for a time.
func waitUntilIdle(
	ctx context.Context, quiet time.Duration, scrape func(context.Context) (figures, error),
) (last figures, err error) {
	const renewals = 1 // per second, at most
	last, err = scrape(ctx)
	if err != nil {
		return last, err
	}
	err = untilEvery(ctx, 0, "the operator has nothing to do", func() (bool, error) {
		if err := pause(ctx, quiet); err != nil {
			return false, err
		}
		before := last
		var err error
		last, err = scrape(ctx)
		return last.requests-before.requests <= max(1, renewals*quiet.Seconds()), err
	})
	return last, err
}
