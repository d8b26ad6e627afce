package docs

import (
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const index = "docs/README.md"

var (
	// link matches the target of a link or an image.
	link = regexp.MustCompile(`\]\(([^()\s]+)\)`)
	// notInAnchor is what GitHub leaves out of the anchor of a heading.
	notInAnchor = regexp.MustCompile(`[^\p{L}\p{N}\p{M}_ -]`)
	headingMark = regexp.MustCompile(`^#{1,6} +`)
)

// A reader who follows a link of a page gets to the page and the heading that it names.
func TestLinksLeadSomewhere(t *testing.T) {
	t.Parallel()
	pages := readPages(t)
	for _, problem := range brokenLinks(pages, func(path string) bool {
		_, err := os.Stat(filepath.Join(repository, path))
		return err == nil
	}) {
		t.Error(problem)
	}
}

func TestBrokenLinksAreDetected(t *testing.T) {
	t.Parallel()
	exists := func(path string) bool { return path == "docs/picture.png" || path == "docs/a.md" || path == "b.md" }
	got := brokenLinks(map[string]string{
		"docs/a.md": "# A `b`, c\n\n## Twice\n\n## Twice\n\n```sh\n# no heading\n[no link](gone.md)\n```\n" +
			"[self](#a-b-c) ![picture](picture.png) [outside](https://example.com/gone) [up](../b.md#top)\n" +
			"[second](#twice-1) `[code](gone.md)`\n",
		"b.md": "# Top\n\n[gone](docs/gone.md) [page](docs/a.md) [heading](docs/a.md#no-heading)\n",
	}, exists)
	want := []string{
		"b.md: docs/gone.md does not exist",
		"b.md: docs/a.md has no heading #no-heading",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// Nobody finds a page that the index does not name.
func TestEveryPageIsInTheIndex(t *testing.T) {
	t.Parallel()
	pages := readPages(t)
	listed := map[string]bool{index: true}
	for _, target := range targets(pages[index]) {
		path, _, _ := strings.Cut(target, "#")
		listed[filepath.Join(filepath.Dir(index), path)] = true
	}
	for path := range pages {
		if strings.HasPrefix(path, "docs/") && !listed[path] {
			t.Errorf("%s is not linked from %s", path, index)
		}
	}
}

// readPages returns the pages of the repository by their paths in it.
func readPages(t *testing.T) map[string]string {
	t.Helper()
	pages := map[string]string{}
	read := func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || filepath.Ext(path) != ".md" {
			return err
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return fmt.Errorf("reading a page: %w", err)
		}
		name, err := filepath.Rel(repository, path)
		pages[name] = string(content)
		return err
	}
	roots, err := filepath.Glob(filepath.Join(repository, "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, root := range append(roots, filepath.Join(repository, "docs"), filepath.Join(repository, "hack")) {
		if err := filepath.WalkDir(root, read); err != nil {
			t.Fatal(err)
		}
	}
	return pages
}

// brokenLinks returns the links of pages that lead nowhere.
func brokenLinks(pages map[string]string, exists func(path string) bool) (problems []string) {
	for _, page := range slices.Sorted(maps.Keys(pages)) {
		for _, target := range targets(pages[page]) {
			path, anchor, _ := strings.Cut(target, "#")
			linked := page
			if path != "" {
				linked = filepath.Join(filepath.Dir(page), path)
			}
			content, isPage := pages[linked]
			switch {
			case !isPage && !exists(linked):
				problems = append(problems, fmt.Sprintf("%s: %s does not exist", page, linked))
			case isPage && anchor != "" && !slices.Contains(anchors(content), anchor):
				problems = append(problems, fmt.Sprintf("%s: %s has no heading #%s", page, linked, anchor))
			}
		}
	}
	return problems
}

// targets returns the targets of the links in a page within the repository.
func targets(page string) (within []string) {
	for _, line := range textLines(page) {
		for _, match := range link.FindAllStringSubmatch(codeSpan.ReplaceAllString(line, "code"), -1) {
			if !strings.Contains(match[1], ":") {
				within = append(within, match[1])
			}
		}
	}
	return within
}

// anchors returns the anchors of the headings of a page, as GitHub makes them.
func anchors(page string) (names []string) {
	count := map[string]int{}
	for _, line := range textLines(page) {
		if !headingMark.MatchString(line) {
			continue
		}
		title := link.ReplaceAllString(headingMark.ReplaceAllString(line, ""), "")
		name := strings.ReplaceAll(notInAnchor.ReplaceAllString(strings.ToLower(title), ""), " ", "-")
		if count[name]++; count[name] > 1 {
			name = fmt.Sprintf("%s-%d", name, count[name]-1)
		}
		names = append(names, name)
	}
	return names
}

// textLines returns the lines of a page that are in no block of code.
func textLines(page string) (lines []string) {
	inCode := false
	for line := range strings.Lines(page) {
		if strings.HasPrefix(strings.TrimSpace(line), "```") {
			inCode = !inCode
		} else if !inCode {
			lines = append(lines, strings.TrimRight(line, "\n"))
		}
	}
	return lines
}
