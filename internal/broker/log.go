package broker

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
)

// logger passes the server's log on to slog.
type logger struct {
	log *slog.Logger
	// fatal is the last fatal message: the server goes on without what failed,
	// a listener say, and expects the process to end.
	fatal atomic.Pointer[string]
}

func (l *logger) write(level slog.Level, format string, args []any) {
	if l.log.Enabled(context.Background(), level) {
		l.log.Log(context.Background(), level, fmt.Sprintf(format, args...))
	}
}

func (l *logger) Noticef(format string, args ...any) { l.write(slog.LevelDebug, format, args) }
func (l *logger) Warnf(format string, args ...any)   { l.write(slog.LevelWarn, format, args) }
func (l *logger) Errorf(format string, args ...any)  { l.write(slog.LevelError, format, args) }
func (l *logger) Debugf(format string, args ...any)  { l.write(slog.LevelDebug-4, format, args) }
func (l *logger) Tracef(format string, args ...any)  { l.write(slog.LevelDebug-8, format, args) }

func (l *logger) Fatalf(format string, args ...any) {
	l.write(slog.LevelError, format, args)
	text := fmt.Sprintf(format, args...)
	l.fatal.Store(&text)
}
