package docs

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// shipped is what users get, install or follow: an address in it is opened, pulled from or connected to by somebody.
var shipped = []string{
	"charts", "config", "docs", "api", "cmd", "controllers", "runtime", "hack/demo", "hack/lib", "hack/images.sh",
	"hack/release", "Makefile", "Dockerfile", "README.md", "SECURITY.md", "CONTRIBUTING.md", "CHANGELOG.md", ".github",
}

// realHosts exist, with all names below them, and belong to somebody else: sites whose media a channel plays, APIs that
// plugins ask, and the projects whose documents, API groups, Go modules and schemas are named.
var realHosts = []string{
	"cytu.be", "youtu.be", "youtube.com", "google.com", "soundcloud.com", "opentdb.com", "openrouter.ai", "openai.com",
	"kubernetes.io", "k8s.io", "helm.sh", "kubebuilder.io", "coreos.com", "argoproj.io", "fluxcd.io", "nats.io",
	"opentelemetry.io", "sqlite.org", "rfc-editor.org", "w3.org", "json-schema.org", "socket.io", "go.dev", "golang.org",
	"modernc.org", "keepachangelog.com", "semver.org", "debian.org", "postgresql.org", "githubusercontent.com",
	"sigstore.dev", "slsa.dev", "spdx.org", "krew.googlecontainertools.github.com",
}

// realOwners have repositories or images on hosts where everybody can have an account. OWNER stands for the reader's
// own.
var realOwners = []string{
	"OWNER", "airforce270", "anchore", "calzoneman", "grobertson", "kubernetes-sigs", "mattn", "nats-io", "ncruces",
	"nuclearace", "opencontainers",
}

var (
	// address is what follows a scheme: a host with a dot, and the first part of the path.
	address = regexp.MustCompile(`\w://(?:[^\s/@"'<>]*@)?([A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+)\.?(?::\d+)?(?:/([\w.-]*))?`)
	// bare is a name as images, modules and API groups have it: a host with a dot in lower case, and a path.
	bare = regexp.MustCompile(`(?:^|[^\w./@:*\\-])((?:[a-z0-9-]+\.)+[a-z]{2,})(?::\d+)?/([\w.-]+)`)
	// sharedHosts belong to somebody, but what is below them to whoever has the account.
	sharedHosts = regexp.MustCompile(`^(?:www\.)?(?:github\.com|gitlab\.com|ghcr\.io|quay\.io|docker\.io|gcr\.io)$`)
	// reserved names are nobody's for ever (RFC 2606, RFC 6761, RFC 6762), or names of a cluster.
	reserved = regexp.MustCompile(`(?:^|\.)(?:example|test|invalid|localhost|local|svc|example\.(?:com|org|net))$`)
	ipv4     = regexp.MustCompile(`^[0-9.]+$`)
	// identifiers are the uses of our own domain that nobody opens: the API group and its kinds, labels and annotations,
	// and the path of the Go module and its packages. The module itself is named where it is declared or replaced.
	identifiers = regexp.MustCompile(`(?mi)` + strings.Join([]string{
		`\brosey\.dev/v\d\w*`, `\brosey\.dev/roseybots?\b`, `\broseybots\.rosey\.dev\b`, `\brosey\.dev_\w*Bots?\b`,
		`\brosey\.dev/(?:channel|command|database|permissions|printed|[a-z]+(?:-[a-z]+)+)\b`, `\brosey\.dev/[*']`,
		`\brosey\.dev/rosey/[a-z]`, `^(?:module|repo:) rosey\.dev/rosey$`,
		`-require rosey\.dev/rosey@v0\.0\.0 -replace rosey\.dev/rosey=`,
		// alone, as the name of the group
		`(?:^|[\s"'=(,\[` + "`" + `])rosey\.dev(?:$|[\s"'),:\]` + "`" + `])`,
	}, "|"))
)

// No image is pulled from, no page opened at, and no module fetched from a host that nobody owns: whoever registers its
// name would get these connections.
func TestNothingPointsToAHostThatNobodyOwns(t *testing.T) {
	files := 0
	for _, root := range shipped {
		err := filepath.WalkDir(filepath.Join(repository, root), func(path string, entry fs.DirEntry, err error) error {
			switch {
			case os.IsNotExist(err) && path == filepath.Join(repository, root):
				return nil // not every part exists in every version
			case err != nil:
				return err
			case entry.IsDir() && entry.Name() == "testdata":
				return fs.SkipDir
			case entry.IsDir() || notShipped(path):
				return nil
			}
			files++
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			for _, found := range unowned(t, path, string(text)) {
				t.Errorf("%s: %s: expected a host of realHosts or realOwners, or a reserved name", path, found)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if files < 200 {
		t.Errorf("%d files were read", files)
	}
}

// notShipped reports whether a file is a test, a picture, or a library with its own licence.
func notShipped(path string) bool {
	return strings.HasSuffix(path, "_test.go") || strings.HasSuffix(path, ".png") ||
		strings.Contains(path, "runtime/web/assets/") && strings.Contains(path, ".min.")
}

// unowned returns the addresses of a file that nobody owns. Of a Go file, its strings count, except those of imports.
func unowned(t *testing.T, path, text string) []string {
	t.Helper()
	if filepath.Ext(path) == ".go" {
		text = stringsOf(t, path, text)
	}
	var wrong []string
	for _, expression := range []*regexp.Regexp{address, bare} {
		for _, match := range expression.FindAllStringSubmatch(text, -1) {
			if !owned(strings.ToLower(match[1]), match[2]) {
				wrong = append(wrong, strings.TrimSpace(match[0]))
			}
		}
	}
	for line := range strings.SplitSeq(text, "\n") {
		if line == "rosey.dev/rosey" && filepath.Base(path) == "telemetry.go" {
			continue // traces name the module that makes them
		}
		if rest := identifiers.ReplaceAllString(line, " "); strings.Contains(rest, "rosey.dev") {
			wrong = append(wrong, strings.TrimSpace(line))
		}
	}
	return wrong
}

// owned reports whether a host, or what begins with path on a shared one, is known to belong to somebody. Our own
// domain has a rule of its own.
func owned(host, path string) bool {
	switch {
	case sharedHosts.MatchString(host):
		return path == "" || slices.Contains(realOwners, path) // the host alone is nobody's account
	case host == "rosey.dev", ipv4.MatchString(host), reserved.MatchString(host):
		return true
	}
	return slices.ContainsFunc(realHosts, func(known string) bool {
		return host == known || strings.HasSuffix(host, "."+known)
	})
}

func stringsOf(t *testing.T, path, text string) string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), path, text, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	var found strings.Builder
	ast.Inspect(file, func(node ast.Node) bool {
		if _, isImport := node.(*ast.ImportSpec); isImport {
			return false
		}
		if literal, isLiteral := node.(*ast.BasicLit); isLiteral && literal.Kind == token.STRING {
			if value, err := strconv.Unquote(literal.Value); err == nil {
				found.WriteString(value + "\n")
			}
		}
		return true
	})
	return found.String()
}

func TestHostsThatNobodyOwnsAreDetected(t *testing.T) {
	for text, wrong := range map[string]bool{
		"image: rosey.dev/rosey:0.1.0": true, "newName: rosey.dev/operator": true, "repository: rosey.dev/operator": true,
		"https://rosey.dev/docs": true, "a page (https://rosey.dev)": true, "go install rosey.dev/rosey@latest": true,
		"go get rosey.dev/rosey": true, "oci://rosey.dev/charts": true, "mail to a@rosey.dev": true,
		"image: ghcr.io/rosey/rosey:1": true, "https://github.com/rosey-bot/rosey": true, "docs.rosey.io/page": true,
		"helm repo add rosey https://charts.rosey.sh": true, "runbookURL: https://wiki.rosey.org/x": true,

		"apiVersion: rosey.dev/v1alpha1": false, "group: rosey.dev": false, "rosey.dev/roseybot: fun": false,
		"rosey.dev/config-hash: 12": false, "crd/roseybots.rosey.dev": false, "module rosey.dev/rosey": false,
		"go build rosey.dev/rosey/cmd/rosey": false, "https://cytu.be/r/fun": false, "nats://nats.nats.svc:4222": false,
		"registry.example/rosey:1": false, "https://github.com/calzoneman/sync": false, "image: nats:2.15.2": false,
		"ghcr.io/OWNER/rosey": false, "rosey.local/operator:1": false, "http://127.0.0.1:8080/x": false,
	} {
		if got := unowned(t, "page.md", text); (len(got) > 0) != wrong {
			t.Errorf("%q: %q, want an error: %v", text, got, wrong)
		}
	}
	source := "package a\n\nimport _ \"rosey.dev/rosey\"\n\nconst b = \"https://rosey.dev/\"\n"
	if got := unowned(t, "main.go", source); len(got) != 1 {
		t.Errorf("of a Go file: %q, want the constant", got)
	}
}
