package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// Without an operator, bots keep running and one can be deleted. A reinstalled operator does not restart them.
func TestBotsRunWithoutTheOperator(t *testing.T) {
	needCluster(t)
	channel := cytubeChannel("orphan")
	channel.join(t, "olga")
	create(t, newBot("orphan"))
	create(t, newBot("ended"))
	waitReady(t, "orphan")
	waitReady(t, "ended")
	before := identities(t, "orphan")

	values := filepath.Join(t.TempDir(), "values.yaml")
	if err := os.WriteFile(values, []byte(helm(t, "get", "values", release, "--output", "yaml")), 0o600); err != nil {
		t.Fatal(err)
	}
	helm(t, "uninstall", release, "--wait", "--timeout", "120s")
	// The following tests need an operator even if this one fails.
	install := func() {
		helm(t, "upgrade", "--install", release, cluster.chart, "--values", values,
			"--wait", "--timeout", "120s")
	}
	installed := false
	defer func() {
		if !installed {
			install()
		}
	}()

	kubectl(t, "get", "crd", "roseybots.rosey.dev")
	channel.say(t, "olga", "said without an operator")
	sameChat(t, "orphan", channel)
	kubectl(t, "delete", "roseybot", "ended", "--timeout=30s")
	eventually(t, readyLimit, "the deleted bot's pods are gone", func(ctx context.Context) error {
		pods, err := podsOf(ctx, "ended")
		if err != nil {
			return err
		}
		if len(pods) > 0 {
			return fmt.Errorf("%d pods are left", len(pods))
		}
		return nil
	})

	install()
	installed = true
	create(t, newBot("newcomer")) // when it is ready, the operator works again
	waitReady(t, "newcomer")
	waitReady(t, "orphan")
	sameIdentities(t, "orphan", before)
}
