package database_test

import (
	"testing"

	"rosey.dev/rosey/runtime/bus"
)

// Dashboards and alerts use these names.
func TestMetrics(t *testing.T) {
	r := newRig(t)
	s := r.ready(r.start())
	r.publish(bus.MessageLog, `{"username":"alice","message":"hi"}`)
	r.publish(bus.MessageLog, `{`)
	r.waitUntilStored()
	r.maintain()
	r.waitUntilStored() // by then the question is counted too
	families, err := s.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			got[family.GetName()] += metric.GetCounter().GetValue() + metric.GetGauge().GetValue() +
				float64(metric.GetHistogram().GetSampleCount())
		}
	}
	if got["rosey_database_store_bytes"] < 10_000 {
		t.Errorf("size of the store: %v bytes", got["rosey_database_store_bytes"])
	}
	delete(got, "rosey_database_store_bytes")
	if got["rosey_database_limit_used_ratio"] == 0 || got["rosey_database_limit_used_ratio"] > 0.01 {
		t.Errorf("used parts of the limits, together: %v", got["rosey_database_limit_used_ratio"])
	}
	delete(got, "rosey_database_limit_used_ratio")
	same(t, "metrics", map[string]float64{
		"rosey_database_info":                         1,
		"rosey_database_messages_total":               5, // a line, nonsense, and three questions
		"rosey_database_handle_seconds":               5,
		"rosey_database_batch_events":                 1,
		"rosey_database_apply_seconds":                1,
		"rosey_database_dead_letters_total":           1,
		"rosey_database_maintenance_runs_total":       1,
		"rosey_database_stream_lost_events_total":     0,
		"rosey_database_stream_pending_events":        0,
		"rosey_database_stream_unacknowledged_events": 0,
		"rosey_database_waiting_messages":             0,
		"rosey_database_dropped_messages_total":       0,
		"rosey_database_refused_total":                0,
		"rosey_database_announced_removal_rows":       0,
		"rosey_database_pruned_rows_total":            0,
		"rosey_database_backup_runs_total":            0,
		"rosey_database_backup_timestamp_seconds":     0,
		"rosey_database_backup_interval_seconds":      0,
	}, got)
}
