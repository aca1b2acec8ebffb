// Package handover is what an init tells the program that it executes in its own place: all that
// it knows and the kernel does not. It is data and its encoding; package pid1 fills it and lives by it.
//
// # The bytes
//
//	 0  magic   "SMINITHO"
//	 8  format  uint32, little-endian; raised when an older reader must not go on
//	12  length  uint32 of what follows the header
//	16  crc32c  of what follows the header
//	20  fields, in the encoding of package state/record
//
// Fields that a reader does not know are kept and handed on. Descriptors are numbers in the table that
// both programs share, each with its identity (fstat(2)), so that a number which means something else is noticed.
// Times are nanoseconds of CLOCK_MONOTONIC, 0 for none.
//
// # Roles
//
//	environment              the program
//	SYSMASTER_HANDOVER=FD    is PID 1, executed by the init that wrote the memfd FD ...
//	  and SYSMASTER_OWN=FD   ... and whose program this is
//	  and SYSMASTER_BACK     ... after another one could not use it, and says why
//	  and SYSMASTER_ROLE=preflight, SYSMASTER_REPORT=FD
//	                         is a child that only looks: it reads FD, checks each descriptor, writes a Report
package handover
