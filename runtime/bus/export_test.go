package bus

import "time"

// SetRetry sets the time after which a decision that may not be what is wanted is made again.
func (b *Binding) SetRetry(retry time.Duration) { b.refusedRetry, b.limitsRetry = retry, retry }
