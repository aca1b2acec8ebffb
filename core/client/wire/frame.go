package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// Errors of frames and messages. Each is wrapped with what exactly was wrong.
var (
	ErrTooLong   = errors.New("message is too long")
	ErrMalformed = errors.New("malformed message")
)

// HeaderMax bounds the array of header fields in bytes; real ones have a few hundred.
const HeaderMax = 16 << 10

// fixedHeader is the part of the header before the fields, the length of their array included.
const fixedHeader = 16

// firstChunk is what a frame may allocate before any of it has arrived.
const firstChunk = 4 << 10

// Reader reads frames from a stream.
type Reader struct {
	R   io.Reader
	Max int // longest frame in bytes, header included
	// Begun, if not nil, is called when the first byte of a frame is there, Ended when the
	// frame is complete: the place to arm and disarm a deadline against half a frame.
	Begun, Ended func()
	// Reserve, if not nil, is asked before a frame grows beyond 4 KiB by n more bytes;
	// Release gives back the sum after the caller is done with the frame.
	Reserve func(n int) error

	head [fixedHeader]byte
}

// Next reads one frame. io.EOF means that the peer closed between two frames. reserved is
// what was asked of Reserve, also after an error.
func (r *Reader) Next() (frame []byte, reserved int, err error) {
	if _, err := io.ReadFull(r.R, r.head[:1]); err != nil {
		return nil, 0, err
	}
	if r.Begun != nil {
		r.Begun()
	}
	if _, err := io.ReadFull(r.R, r.head[1:]); err != nil {
		return nil, 0, noEOF(err)
	}
	size, err := frameSize(r.head[:], r.Max)
	if err != nil {
		return nil, 0, err
	}
	frame = append(make([]byte, 0, min(size, firstChunk)), r.head[:]...)
	for len(frame) < size {
		if len(frame) == cap(frame) {
			grown := min(size, 2*cap(frame))
			if r.Reserve != nil {
				if err := r.Reserve(grown - cap(frame)); err != nil {
					return nil, reserved, err
				}
				reserved += grown - cap(frame)
			}
			frame = append(make([]byte, 0, grown), frame...)
		}
		part := frame[len(frame):min(size, cap(frame))]
		n, err := io.ReadFull(r.R, part)
		frame = frame[:len(frame)+n]
		if err != nil {
			return nil, reserved, noEOF(err)
		}
	}
	if r.Ended != nil {
		r.Ended()
	}
	return frame, reserved, nil
}

func noEOF(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// frameSize is the length of the frame that begins with head.
func frameSize(head []byte, limit int) (int, error) {
	order, err := byteOrder(head[0])
	if err != nil {
		return 0, err
	}
	if head[3] != 1 {
		return 0, fmt.Errorf("%w: protocol version %d, this is 1", ErrMalformed, head[3])
	}
	body, fields := uint64(order.Uint32(head[4:])), uint64(order.Uint32(head[12:]))
	if fields > HeaderMax {
		return 0, fmt.Errorf("%w: header of %d bytes, at most %d", ErrTooLong, fields, HeaderMax)
	}
	size := fixedHeader + (fields+7)&^7 + body
	if size > uint64(limit) {
		return 0, fmt.Errorf("%w: %d bytes, at most %d", ErrTooLong, size, limit)
	}
	return int(size), nil
}

func byteOrder(c byte) (binary.ByteOrder, error) {
	switch c {
	case 'l':
		return binary.LittleEndian, nil
	case 'B':
		return binary.BigEndian, nil
	}
	return nil, fmt.Errorf("%w: byte order %#x", ErrMalformed, c)
}
