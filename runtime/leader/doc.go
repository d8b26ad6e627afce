// Package leader elects one of several processes: the bot that is in the channel.
//
// Leadership was called a lock in earlier versions, and names that users rely on still have the word: the bucket, the
// reason LockUnavailable and the metric rosey_bot_lock_transitions_total.
//
// The candidates for a channel compete for one key of a JetStream key-value bucket. The bucket belongs to a subject
// prefix, which bots of several channels may share, so each channel has a key of its own: the SHA-256 of its server and
// name, in lower case (KeyName). The bucket has a TTL, so the key disappears when its writer stops renewing it. The
// value names the holder: its pod, the pod's UID, and the process.
//
// # Acquiring
//
// Elector.Acquire polls the key. When the key is absent or its holder has released it, the candidate writes its own
// value with the revision that it has seen (Create or Update of jetstream.KeyValue). Of several candidates that do so
// at once, the server accepts one. Leadership follows only from the result of such a compare-and-set: a value that was
// read may be stale; a read only shows whom to wait for.
//
// # Keeping
//
// A Leadership renews the key every quarter of the TTL, again with a compare-and-set, which restarts the key's age.
// It is valid until five sixths of the TTL have passed since the last successful write was sent. The server cannot
// have started to count earlier than that, and the time is monotonic, so a changed wall clock has no effect. What is
// assumed is that the clocks of this process and of the NATS server run at the same speed.
//
// A renewal that times out has an unknown result: it may have been stored. The next renewal then fails with a revision
// mismatch; the Leadership reads the key, and if it names this process, or nobody, it writes over the revision that it
// has read. Only a key that names another process ends the leadership (Lost). In between, a Leadership may be invalid
// for a while and become valid again.
//
// # Releasing
//
// Release does not delete the key: it marks the value as released. jetstream.KeyValue.Get reports a deleted key and an
// expired one alike, and candidates must tell them apart, because a released key may be taken at once (see
// "Partitions"). The Lease of Kubernetes is released in the same way, by an empty holder. The mark expires like any
// other value. Candidates watch the key, so the next one takes over without waiting for its next poll. The watch
// only saves time: where it does not work, the poll finds the same.
//
// # Restarts
//
// A container that is started again has the UID of the pod whose former process holds the key. Kubernetes runs only
// one of the two at a time, so the new process writes over the key at once instead of waiting for it to expire. If the
// former process is alive in spite of that, its next renewal fails and it has lost.
//
// # The only candidate
//
// A bot that is the only one (Options.Alone) takes part in the election too, so that a standby can be added without a
// restart: the standby waits for the leader that it finds. But nobody has to be kept out of the channel, so the only
// candidate leads without the key where it cannot have it: without JetStream, without the permission, or while NATS is
// away. It goes on trying to take the key, and it has lost as soon as it sees that another process holds it.
//
// # Partitions
//
// A leader that is cut off from NATS stops being valid on its own, before the server lets the key expire for others.
// It may still act in the channel because it called Valid just before its leadership expired. The CyTube server, which
// disconnects the older of two logins with one account, is the second barrier.
//
// When NATS itself was away, for example for a restart that took longer than the TTL, the key has expired although its
// holder is alive and still in the channel. A candidate whose last poll failed therefore takes an absent key only once
// it has reached NATS for a whole TTL, which gives the holder the time to write the key again.
//
// If the bucket is lost or deleted, it is created again by the first process that needs it.
package leader
