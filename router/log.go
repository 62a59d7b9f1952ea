package router

import (
	"fmt"
	"log/slog"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
)

// logger adds to a slog.Logger a way to say a thing at most once a second.
type logger struct {
	*slog.Logger
	said *lru.Cache[string, time.Time] // when these words were said last
}

// saidWords is how many different things a logger remembers to have said.
const saidWords = 1024

func newLogger(l *slog.Logger) logger {
	said, err := lru.New[string, time.Time](saidWords)
	if err != nil {
		panic(err) // only for a size below 1
	}
	return logger{l, said}
}

// limited says a thing at most once a second. Of different keys, as an argument
// "key" names them, it is said separately: each has to be mended.
func (l logger) limited(msg string, args ...any) {
	words, now := msg, time.Now()
	for i := 1; i < len(args); i += 2 {
		if args[i-1] == "key" {
			words = fmt.Sprint(msg, " ", args[i])
		}
	}
	if last, ok := l.said.Get(words); ok && now.Sub(last) < time.Second {
		return
	}
	l.said.Add(words, now)
	l.Warn(msg, args...)
}
