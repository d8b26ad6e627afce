package natsserver

import (
	"fmt"
	"log/slog"
	"sync"
)

// logger takes what the server logs and keeps the last thing that ended it.
type logger struct {
	log *slog.Logger

	mu    sync.Mutex
	fatal error
}

// Noticef implements server.Logger. What a server says of its start is of no use beside a bot.
func (l *logger) Noticef(format string, v ...any) { l.log.Debug("[NATS] " + fmt.Sprintf(format, v...)) }

// Warnf implements server.Logger.
func (l *logger) Warnf(format string, v ...any) { l.log.Warn("[NATS] " + fmt.Sprintf(format, v...)) }

// Errorf implements server.Logger.
func (l *logger) Errorf(format string, v ...any) { l.log.Error("[NATS] " + fmt.Sprintf(format, v...)) }

// Fatalf implements server.Logger. The server of this package must not end the process.
func (l *logger) Fatalf(format string, v ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fatal = fmt.Errorf(format, v...)
}

// Debugf implements server.Logger.
func (l *logger) Debugf(string, ...any) {}

// Tracef implements server.Logger.
func (l *logger) Tracef(string, ...any) {}

func (l *logger) last() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.fatal
}
