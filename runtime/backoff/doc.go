// Package backoff computes the pauses between attempts and waits for them.
//
// Everything in the runtime that tries again, polls or waits to be woken uses this package, so that the end of a
// context ends each pause and no client retries at a fixed interval. [Backoff] is the sequence of pauses for one
// operation: exponential, with jitter, as in "Exponential Backoff And Jitter" of the AWS Architecture Blog, except that
// half of each pause is fixed, so that an attempt never follows at once. [Sleep] and [Wait] wait.
package backoff
