// Package wire is D-Bus between two peers, without a broker: the authentication
// handshake, frames, and messages, for core/control (the server) and core/client.
//
// The bytes come from outside. A frame is read with a bound on its length, and memory
// grows with what has arrived, not with what the length field claims. Header and
// body are decoded here, by a decoder that checks every length against what is there,
// builds no types at run time and bounds depth and number of values; values are encoded by
// godbus, whose reflection suits property values of any Go type. (godbus's own decoder is
// not used on hostile input: it panics with non-errors on some signatures, and each
// new container signature costs memory for ever in reflect's type cache.)
//
// Sources: the D-Bus Specification, "Message Protocol" and "Authentication Protocol".
package wire
