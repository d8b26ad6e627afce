package e2e

import (
	"regexp"
	"slices"
	"strings"
	"testing"
)

// placeholders are the words in capitals that stand for the reader's own, and what they are in a test.
type placeholders map[string]string

var placeholder = regexp.MustCompile(`\b(REGISTRY|TAG|NAME|POD)\b`)

// pageScript returns what is run of a page, each line where it stands in the page, so that a shell's line numbers are
// the page's. That is each block of sh that uses kubectl or helm, unless the comment "not run: REASON" stands before
// it, and the comments that begin with a line "<!-- run", which do what a reader has done elsewhere.
func pageScript(page string, own placeholders) string {
	var out []string
	fill := func(line string) string {
		return placeholder.ReplaceAllStringFunc(line, func(word string) string { return own[word] })
	}
	lines := strings.Split(page, "\n")
	wanted := true // by the comment before a block
	for at := 0; at < len(lines); at++ {
		opening := strings.TrimSpace(lines[at])
		out = append(out, "")
		if strings.HasPrefix(opening, "<!-- not run: ") {
			wanted = false
		}
		closing := closingOf(opening)
		if closing == "" {
			continue
		}
		block := []string{}
		for at++; at < len(lines) && strings.TrimSpace(lines[at]) != closing; at++ {
			block = append(block, lines[at])
		}
		hidden := closing == "-->"
		run := hidden || (wanted && opening == "```sh" && slices.ContainsFunc(block, usesCluster))
		for _, line := range block {
			if !run {
				line = ""
			}
			out = append(out, fill(line))
		}
		out = append(out, "")
		wanted = wanted || !hidden
	}
	return strings.Join(out, "\n")
}

// closingOf is the line that ends the block or comment that a line opens; empty when it opens none.
func closingOf(line string) string {
	switch {
	case line == "<!-- run":
		return "-->"
	case strings.HasPrefix(line, "```"):
		return "```"
	}
	return ""
}

func usesCluster(line string) bool {
	return regexp.MustCompile(`^\s*(kubectl|helm) `).MatchString(line)
}

func TestPageScript(t *testing.T) {
	page := strings.Join([]string{
		"# Page", "```sh", "kubectl get pods -l app=NAME \\", "  --watch", "```",
		"<!-- run", "echo TAG", "-->", "words", "```sh", "rosey run", "```",
		"<!-- not run: a reason -->", "```sh", "helm uninstall", "```",
		"```yaml", "kubectl: no", "```", "  ```sh", "  helm list", "  ```",
	}, "\n")
	want := strings.Join([]string{
		"", "", "kubectl get pods -l app=mine \\", "  --watch", "",
		"", "echo v1", "", "", "", "", "",
		"", "", "", "",
		"", "", "", "", "  helm list", "",
	}, "\n")
	if got := pageScript(page, placeholders{"NAME": "mine", "TAG": "v1"}); got != want {
		t.Errorf("script is\n%s\nwant\n%s", got, want)
	}
}
