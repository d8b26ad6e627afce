// Package storetest is the contract of store.Store as tests. [Run] runs them against one implementation, and each
// implementation calls it from a test of its own.
//
// The rules by which events merge are tested with random events: applied in order and in one batch, and applied
// shuffled, repeated and cut into other batches, they must leave the same rows. A failure names the seed.
//
// [Fill] and [Same] are for tests that copy a database: Fill stores rows of every kind, and Same compares everything
// that can be read of them.
package storetest
