package config_test

import (
	"testing"

	"rosey.dev/rosey/runtime/config"
	"rosey.dev/rosey/runtime/status"
)

// A limit of 0 would refuse everything.
func TestEveryLimitHasADefault(t *testing.T) {
	loaded, err := config.Parse([]byte("{channel: {name: m}, nats: {url: nats://n}, database: {sqlite: {path: /d}, "+
		"limits: {people: 2000}}}"), status.DatabaseComponent)
	if err != nil {
		t.Fatal(err)
	}
	want := config.Limits{People: 2000}.WithDefaults()
	if loaded.Database.Limits != want || want.People != 2000 || want.TextBytes != 16384 || want.DeadLetters != 10000 {
		t.Errorf("limits of a file %+v, of WithDefaults %+v", loaded.Database.Limits, want)
	}
}
