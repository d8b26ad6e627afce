package bot

import (
	"io"
	"net"
	"strings"
	"sync"
	"testing"
)

// link passes TCP connections on to a server and can be cut.
type link struct {
	listener net.Listener
	target   string
	workers  sync.WaitGroup

	mu    sync.Mutex
	isCut bool
	open  map[net.Conn]bool
}

func startLink(t *testing.T, url string) *link {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	l := &link{listener: listener, target: strings.TrimPrefix(url, "http://"), open: map[net.Conn]bool{}}
	l.workers.Go(l.accept)
	t.Cleanup(func() {
		_ = listener.Close()
		l.cut()
		l.workers.Wait()
	})
	return l
}

func (l *link) url() string { return "http://" + l.listener.Addr().String() }

// cut ends every connection, and new ones at once until mend.
func (l *link) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.isCut = true
	for conn := range l.open {
		_ = conn.Close()
	}
	clear(l.open)
}

func (l *link) mend() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.isCut = false
}

func (l *link) accept() {
	for {
		near, err := l.listener.Accept()
		if err != nil {
			return
		}
		far, err := net.Dial("tcp", l.target)
		if err != nil || !l.keep(near, far) {
			_ = near.Close()
			if far != nil {
				_ = far.Close()
			}
			continue
		}
		l.workers.Go(func() { pass(near, far) })
		l.workers.Go(func() { pass(far, near) })
	}
}

func (l *link) keep(conns ...net.Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.isCut {
		return false
	}
	for _, conn := range conns {
		l.open[conn] = true
	}
	return true
}

func pass(to, from net.Conn) {
	_, _ = io.Copy(to, from)
	_ = to.Close()
	_ = from.Close()
}
