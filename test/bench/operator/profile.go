package main

import (
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

//go:embed testdata/profile.go.txt
var profileFile []byte

// builtOperator is the path of the operator's program if it is built already.
var builtOperator string

// buildOperator builds the operator's program in a directory, with a file that serves profiles, and returns its path.
func buildOperator(ctx context.Context, dir string) (string, error) {
	list := exec.CommandContext(ctx, "go", "list", "-f", "{{.Dir}}", "rosey.dev/rosey/cmd/operator")
	found, err := list.Output()
	if err != nil {
		return "", fmt.Errorf("finding the operator's package: %w", err)
	}
	added, overlay := filepath.Join(dir, "profile.go"), filepath.Join(dir, "overlay.json")
	replacements, err := json.Marshal(map[string]map[string]string{"Replace": {
		filepath.Join(strings.TrimSpace(string(found)), "benchprofile.go"): added,
	}})
	if err != nil {
		return "", fmt.Errorf("encoding the overlay: %w", err)
	}
	for path, text := range map[string][]byte{added: profileFile, overlay: replacements} {
		if err := os.WriteFile(path, text, 0o600); err != nil {
			return "", fmt.Errorf("adding profiles to the operator: %w", err)
		}
	}
	program := filepath.Join(dir, "operator")
	//nolint:gosec // ours
	build := exec.CommandContext(ctx, "go", "build", "-overlay", overlay, "-o", program, "rosey.dev/rosey/cmd/operator")
	if output, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building the operator: %w: %s", err, output)
	}
	return program, nil
}

// liveHeap returns the operator's heap in bytes after two garbage collections: the first one leaves what has a
// finalizer.
func (l *loopback) liveHeap(ctx context.Context) (float64, error) {
	if _, err := ask(ctx, http.MethodPost, "http://"+l.profiles+"/collect"); err != nil {
		return 0, err
	}
	now, err := l.scrape(ctx)
	return now.heap, err
}

// profile calls do, and writes profiles to a directory unless that is empty: of the processor time while do runs, and
// of the heap afterwards.
func (l *loopback) profile(ctx context.Context, directory, name string, do func() error) error {
	if directory == "" {
		return do()
	}
	if err := os.MkdirAll(directory, 0o750); err != nil {
		return fmt.Errorf("creating the directory of profiles: %w", err)
	}
	processor := "http://" + l.profiles + "/processor"
	if _, err := ask(ctx, http.MethodPost, processor); err != nil {
		return err
	}
	if err := do(); err != nil {
		return err
	}
	for kind, url := range map[string]string{"processor": processor, "heap": "http://" + l.profiles + "/heap"} {
		text, err := ask(ctx, http.MethodGet, url)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(directory, name+"."+kind), text, 0o600); err != nil {
			return fmt.Errorf("writing a profile: %w", err)
		}
	}
	return nil
}
