package main

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"rosey.dev/rosey/controllers"
	"rosey.dev/rosey/runtime/backoff"
	"rosey.dev/rosey/runtime/status"
)

// checkInterval is the time between two checks of the namespaces.
const checkInterval = 30 * time.Second

// namespaces are those of --watch-namespaces. A manager cannot start while the API server forbids it to read one of
// them: it has been deleted with the operator's permissions in it, or not been created yet. Such a namespace must not
// keep the operator from managing the others.
type namespaces struct {
	wanted   []string
	reader   client.Reader
	log      *slog.Logger
	interval time.Duration

	mu        sync.Mutex
	forbidden map[string]string // the reason for each namespace that cannot be managed
}

// check returns the namespaces that can be managed, and logs which cannot if that has changed. Without
// --watch-namespaces it returns none: then the operator manages all of them.
func (n *namespaces) check(ctx context.Context) (usable []string) {
	forbidden := map[string]string{}
	for _, name := range n.wanted {
		if err := controllers.CheckAccess(ctx, n.reader, name); err != nil {
			forbidden[name] = status.OneLine(err.Error(), 300)
			continue
		}
		usable = append(usable, name)
	}
	n.mu.Lock()
	before := n.forbidden
	n.forbidden = forbidden
	n.mu.Unlock()
	for name, reason := range forbidden {
		if _, known := before[name]; !known {
			n.log.ErrorContext(ctx, "cannot manage a namespace of --watch-namespaces; going on with the others",
				"namespace", name, "error", reason)
		}
	}
	for name := range before {
		if _, still := forbidden[name]; !still {
			n.log.InfoContext(ctx, "the namespace can be managed now", "namespace", name)
		}
	}
	return usable
}

// await waits until at least one namespace can be managed, and returns those. It returns none when ctx has ended, and
// without --watch-namespaces.
func (n *namespaces) await(ctx context.Context) []string {
	for len(n.wanted) > 0 {
		if usable := n.check(ctx); len(usable) > 0 || !backoff.Sleep(ctx, n.interval) {
			return usable
		}
	}
	return nil
}

// awaitChange waits until the namespaces that can be managed are others, or ctx ends.
func (n *namespaces) awaitChange(ctx context.Context, usable []string) {
	for backoff.Sleep(ctx, n.interval) {
		if now := n.check(ctx); ctx.Err() == nil && !slices.Equal(now, usable) {
			return
		}
	}
}

// ready returns an error while no namespace can be managed.
func (n *namespaces) ready() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.wanted) == 0 || len(n.forbidden) < len(n.wanted) {
		return nil
	}
	var reasons []string
	for _, name := range slices.Sorted(maps.Keys(n.forbidden)) {
		reasons = append(reasons, name+": "+n.forbidden[name])
	}
	return fmt.Errorf("no namespace of --watch-namespaces can be managed: %s", strings.Join(reasons, "; "))
}
