// Package storetest tests that every store.Store meets one contract, and has helpers for tests that copy databases.
//
// The contract is in the test files of this package, which run it with each implementation. The rules by which events
// merge are tested with random events: applied in order and in one batch, and applied shuffled, repeated and cut into
// other batches, they must leave the same rows. A failure names the seed.
//
// [Fill] stores rows of every kind, and [Same] compares everything that can be read of them.
package storetest
