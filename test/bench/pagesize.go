package main

import (
	"context"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// withoutPages is a package with what cmd/rosey uses of runtime/web, which does nothing. Its file has another extension
// so that it is no Go file of this module.
//
//go:embed testdata/withoutpages.go.txt
var withoutPages embed.FS

// pageSizes reports the size of what browsers load, and of what the pages add to the program.
func (b *bench) pageSizes(ctx context.Context) error {
	if !b.pageBuilds {
		return nil
	}
	overlay, err := b.overlayWithoutPages(ctx)
	if err != nil {
		return err
	}
	sizes := map[string]float64{}
	for name, arguments := range map[string][]string{"with": nil, "without": {"-overlay", overlay}} {
		path := filepath.Join(b.dir, "rosey-"+name)
		if sizes[name], err = buildSize(ctx, path, slices.Concat(releaseFlags, arguments)...); err != nil {
			return err
		}
	}
	b.report("the program without the pages", sizes["without"], "MiB", "")
	b.report("the program with the pages", sizes["with"], "MiB", "the program without the pages")
	return nil
}

// buildSize builds the program and returns its size in MiB.
func buildSize(ctx context.Context, path string, flags ...string) (float64, error) {
	if err := buildProgram(ctx, path, flags...); err != nil {
		return 0, err
	}
	about, err := os.Stat(path)
	if err == nil {
		err = os.Remove(path)
	}
	if err != nil {
		return 0, fmt.Errorf("measuring the program: %w", err)
	}
	return float64(about.Size()) / (1 << 20), nil
}

// overlayWithoutPages writes a file for -overlay that replaces the pages by a package that does nothing, so that the
// linker leaves out all that they alone need.
func (b *bench) overlayWithoutPages(ctx context.Context) (path string, err error) {
	out, err := exec.CommandContext(ctx, "go", "list", "-f", `{{.Dir}}{{range .GoFiles}} {{.}}{{end}}`,
		"rosey.dev/rosey/runtime/web").Output()
	if err != nil {
		return "", fmt.Errorf("listing the files of the pages: %w", err)
	}
	content, err := withoutPages.ReadFile("testdata/withoutpages.go.txt")
	if err != nil {
		return "", fmt.Errorf("reading the package without pages: %w", err)
	}
	stub, err := b.file(string(content))
	if err != nil {
		return "", err
	}
	replace := map[string]string{}
	files := strings.Fields(string(out))
	for _, name := range files[1:] {
		replace[filepath.Join(files[0], name)] = "" // as if it did not exist
	}
	replace[filepath.Join(files[0], "doc.go")] = stub
	encoded, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", fmt.Errorf("encoding the overlay: %w", err)
	}
	return b.file(string(encoded))
}

const assetsFigure = "scripts and styles of all pages, compressed"

// linkedAsset matches the URLs of scripts and styles in a page.
var linkedAsset = regexp.MustCompile(`(?:src|href)="[./]*(assets/[^"]+\.(?:js|css))"`)

// pageAssets reports the size of the scripts and styles that a browser loads for all pages.
func (b *bench) pageAssets(ctx context.Context, s *pageSite) error {
	loaded, total := map[string]bool{}, 0
	for _, each := range measuredPages {
		body, _, err := s.get(ctx, each.path)
		if err != nil {
			return err
		}
		for _, found := range linkedAsset.FindAllSubmatch(body, -1) {
			path := "/" + string(found[1])
			if loaded[path] {
				continue
			}
			loaded[path] = true
			asset, _, err := s.get(ctx, path, "Accept-Encoding", "gzip")
			if err != nil {
				return err
			}
			total += len(asset)
		}
	}
	if len(loaded) == 0 {
		return errors.New("the pages have no scripts and styles")
	}
	b.report(assetsFigure, float64(total)/1000, "KB", "")
	return nil
}
