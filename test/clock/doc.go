// Package clock runs the router, the SDK and a server on the clock of
// testing/synctest: everything that waits - ring timers, the longest call, ack
// wait, backoff, the life of a login, the expiry of a route - waits as long as in
// production, and no test takes as long.
//
// The server keeps its streams in memory and opens no port: a goroutine that
// waits for a file or a socket keeps the clock of a bubble from advancing. What
// depends on those is tested in test/integration, in real time.
package clock
