package processtest

import (
	"io"
	"os"
	"os/exec"
	"testing"
	"time"
)

// endsEarly is the variable that makes this test binary one that is killed.
const endsEarly = "PROCESSTEST_ENDS_EARLY"

func TestAServerEndsWithATestBinaryThatIsKilled(t *testing.T) {
	if os.Getenv(endsEarly) != "" {
		server := exec.CommandContext(t.Context(), "sh", "-c", "echo started >&3; exec cat <&4")
		server.ExtraFiles = []*os.File{os.NewFile(3, "out"), os.NewFile(4, "in")}
		Start(t, server)
		select {} // until it is killed
	}
	out, toOut := pipe(t)
	in, _ := pipe(t) // cat would end with this test
	binary := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$")
	binary.Env = append(os.Environ(), endsEarly+"=1")
	binary.ExtraFiles = []*os.File{toOut, in}
	Start(t, binary)
	_ = toOut.Close() // the others have it open until they end
	if err := out.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(out, make([]byte, len("started\n"))); err != nil {
		t.Fatal(err)
	}
	if err := binary.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(out); err != nil {
		t.Errorf("the server has not ended: %v", err)
	}
}

// pipe returns the ends of a pipe, which are open until the end of the test.
func pipe(t *testing.T) (from, to *os.File) {
	t.Helper()
	from, to, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = from.Close(), to.Close() })
	return from, to
}
