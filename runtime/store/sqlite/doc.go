// Package sqlite implements store.Store with an SQLite file.
//
// # One writer
//
// A database has one writer. SQLite would let two processes take turns, but each service would count and reply as if it
// were alone. So [Open] locks a file beside the database (PATH.lock), which the kernel releases when the process dies,
// and a second process fails with an error that names the first. Symbolic links are resolved before, and the database
// itself is locked too, for its other names: hard links, and files that are mounted alone.
//
// Within the process one connection writes, and transactions wait for it in the order in which they come. Up to two
// others read beside it from the write-ahead log; each sees the last committed transaction and blocks no other.
// [OpenReadOnly] needs no lock.
//
// # Files of others, and files that are gone
//
// A file is looked at before anything is written to it or created beside it. If it is not a database of this program,
// or one of a later version, it stays as it is. A reader writes nothing at all, see [Snapshot]: SQLite would create an
// index of the write-ahead log, even in the directory of another program.
//
// SQLite goes on with files that were removed or replaced, and nobody would find the rows. So every transaction that
// writes checks before and after that the files are those that were opened, and fails with store.ErrMoved otherwise. It
// also fails when the database has shrunk: then somebody has copied another one over it.
//
// # Durability and speed
//
// Every transaction is synced to the disk before it is acknowledged, and a batch of events is one transaction, so the
// number of syncs does not depend on that of events. Connections cache their prepared statements (statements.go), since
// SQLite needs longer to parse most of the statements than to execute them.
//
// # Schema
//
// The files in migrations are applied in order when the database is opened for writing, each in a transaction. A file
// that was released is never changed, because databases have it already: a change is a new file, and an entry in the
// tables of package relational, whose tests compare the two.
//
// # Backup
//
// [Backup] copies a database while it is in use, [Restore] replaces one that is not. Both write a file beside the
// target and rename it when it is complete and synced, so a crash never leaves a partial database under that name.
// Restore brings the schema of an older backup up to date before.
package sqlite
