// Package custody is the Go client of Custody, the audit log for package
// registries. It records events, finds them again, and checks the evidence
// that the log gives for them.
//
// # Record
//
// An event is recorded in one call, which returns once it is durable in the
// log:
//
//	client, err := custody.New("https://log.example.com", key)
//	ack, err := client.Record(ctx, custody.Event{
//		Tag:      "project:release:add",
//		Actor:    custody.Party{Type: "user", Name: "alice"},
//		Subjects: []custody.Subject{{Type: "version", Name: "demo-pkg", Version: "1.2.0"}},
//	})
//
// [Client.RecordAll] does so for a batch, [Client.RecordAndProve] waits for the
// evidence as well, and a [Buffer] keeps events on this machine's disk while
// the log is away. [Middleware] records what HTTP requests do. [MustType] makes
// a type of event of your own.
//
// # Promises
//
// Of a [Client]:
//
//   - Record returns nil only once the log said that the event is durable,
//     and however often it had to try, the log has the event once.
//   - A receipt that was returned proves the event asked for, to the policy
//     that was configured; from RecordAndProve, it proves what was sent.
//   - Checkpoints that the client accepts never contradict each other: what
//     the log showed once it cannot take back or change unnoticed, after a
//     restart neither when the client has a memory.
//   - Every call ends: with its context, or when the client's patience is over.
//
// Of a [Buffer]:
//
//   - An event whose Put returned nil is sent, after a power cut or kill too,
//     or is set aside with the reason if the log will never take it.
//   - Events are sent in the order of their positions, under the IDs they were
//     put with, so that sending one again records nothing new.
//   - Put waits for the disk of this machine and for nothing else.
//   - The files of events never exceed the buffer's bound; when it is reached,
//     Put refuses.
//   - One event that cannot be recorded holds up no other.
//
// Of the [Middleware]: each request that is an event is recorded, or refused
// before the handler ran, or reported as lost.
package custody
