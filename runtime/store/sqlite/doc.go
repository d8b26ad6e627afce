// Package sqlite implements store.Store with an SQLite file.
//
// A database has one writer: SQLite would let two processes take turns, but each would count and reply as if it were
// alone. So [Open] locks a file beside the database, which the kernel releases when the process dies, and a second
// process fails with an error that names the first. Within the process one connection writes; others read beside it, from the
// write-ahead log. [OpenReadOnly] needs no lock.
//
// Every transaction is synced to the disk before it is acknowledged, and a batch of events is one transaction, so the
// number of syncs does not depend on that of events. Connections cache their prepared statements, since SQLite needs
// longer to parse most of ours than to execute them.
//
// [Backup] copies a database while it is in use, [Restore] replaces one that is not. Both write a file beside the
// target and rename it when it is complete and synced.
package sqlite
