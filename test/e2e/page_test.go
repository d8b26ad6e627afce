package e2e

import (
	"regexp"
	"slices"
	"strings"
	"testing"
)

// placeholders maps the words in capitals that stand for the reader's values to the values in a test.
type placeholders map[string]string

var placeholder = regexp.MustCompile(`\b(REGISTRY|TAG|NAMESPACE|NAME|POD)\b`)

// pageScript returns the commands of a page as a script with the page's line numbers. It has each block of sh that uses
// kubectl or helm, unless the comment "not run: REASON" precedes it, and the comments that begin with a line
// "<!-- run", which contain preparations that the page does not show.
func pageScript(page string, own placeholders) string {
	var out []string
	fill := func(line string) string {
		return placeholder.ReplaceAllStringFunc(line, func(word string) string { return own[word] })
	}
	lines := strings.Split(page, "\n")
	wanted := true // false after a comment "not run"
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

// closingOf returns the line that ends the block or comment that a line opens, or "" if it opens none.
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
		"# Page", "```sh", "kubectl --namespace NAMESPACE get pods -l app=NAME \\", "  --watch", "```",
		"<!-- run", "echo TAG", "-->", "words", "```sh", "rosey run", "```",
		"<!-- not run: a reason -->", "```sh", "helm uninstall", "```",
		"```yaml", "kubectl: no", "```", "  ```sh", "  helm list", "  ```",
	}, "\n")
	want := strings.Join([]string{
		"", "", "kubectl --namespace films get pods -l app=mine \\", "  --watch", "",
		"", "echo v1", "", "", "", "", "",
		"", "", "", "",
		"", "", "", "", "  helm list", "",
	}, "\n")
	if got := pageScript(page, placeholders{"NAMESPACE": "films", "NAME": "mine", "TAG": "v1"}); got != want {
		t.Errorf("script is\n%s\nwant\n%s", got, want)
	}
}
