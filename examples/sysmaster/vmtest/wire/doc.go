// Package wire is the protocol between the machine test and the agent inside the guest: one JSON object per line in each
// direction over a serial line. Requests carry an id that the answer repeats; answers may come in any order.
//
// Either side may see a damaged line (a serial line has no checksum and the guest may die in the middle of one), so a reader
// bounds every line and reports what it cannot decode instead of guessing.
package wire
