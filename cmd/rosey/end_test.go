package main

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"rosey.dev/rosey/runtime/exit"
)

// A process that hangs at its end says so, and ends before Kubernetes kills it.
func TestAProcessThatHangsEndsInTime(t *testing.T) {
	const gracePeriod = 30 * time.Second // terminationGracePeriodSeconds of the pods
	synctest.Test(t, func(t *testing.T) {
		began, code := time.Now(), exit.Clean
		var stderr strings.Builder
		endLate(endTimeout, &stderr, func(exit int) { code = exit })
		if code != exit.Failure || !strings.Contains(stderr.String(), "stay in the stream") {
			t.Errorf("exit code %d, %q", code, stderr.String())
		}
		if took := time.Since(began); took >= gracePeriod {
			t.Errorf("after %v", took)
		}
	})
}
