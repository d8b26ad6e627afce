package browser

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"rosey.dev/rosey/runtime/store/postgres/pgtest"
)

var (
	// programs are the directory with the built programs.
	programs string
	// chromium is the browser of all tests. Each of them has windows and cookies of its own.
	chromium context.Context
)

func TestMain(m *testing.M) { os.Exit(pgtest.Run(func() int { return runTests(m) })) }

func runTests(m *testing.M) int {
	path := findChromium()
	if path == "" {
		fmt.Println("skipped: no Chromium is installed")
		return 0
	}
	dir, err := os.MkdirTemp("", "rosey-browser-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	programs = dir
	build := exec.Command("go", "build", "-o", dir, "./cmd/rosey", "./hack/cytube")
	build.Dir = "../.."
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "building the programs: %v\n%s", err, out)
		return 1
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox,
		chromedp.WindowSize(1280, 900))
	allocator, end := chromedp.NewExecAllocator(context.Background(), options...)
	defer end()
	ctx, stop := chromedp.NewContext(allocator)
	defer stop()
	if _, err := chromedp.Run(ctx, chromedp.Navigate("about:blank")); err != nil {
		fmt.Fprintln(os.Stderr, "starting Chromium:", err)
		return 1
	}
	chromium = ctx //nolint:fatcontext // chromedp keeps a browser in a context
	return m.Run()
}

func findChromium() string {
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	return ""
}

// patience is how long a condition may take on a machine with much else to do.
const patience = 30 * time.Second

func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !condition(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: not within %v", what, patience)
		}
	}
}
