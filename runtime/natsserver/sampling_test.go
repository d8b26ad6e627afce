//go:build linux

package natsserver

import (
	"testing"

	"github.com/nats-io/nats-server/v2/server/pse"
)

// A process that links the NATS server must not read its own processor time every second: pse ends when it cannot read
// the file, whose name it shares with ProcUsage.
func TestProcessIsNotSampled(t *testing.T) {
	var processor float64
	var resident, virtual int64
	if pse.ProcUsage(&processor, &resident, &virtual) == nil {
		t.Error("package pse can read the process's processor time, so it does every second")
	}
}
