// Package socket is the unit type of listening sockets and FIFOs (man systemd.socket(5)).
//
// The sockets are held by init under the keys "<unit>/<n>", n counting the Listen...= lines
// from 0; the service of the unit is passed them by the engine's view (FDs). Accept=no only:
// a socket with Accept=yes, or with a setting that would make another socket than the one
// that is written and is not implemented, loads but refuses to start and says which.
//
// Phases are systemd's sub states; "start-chown" is where the sockets are being made.
//
//	phase             entered when                     left when
//	start-pre         Start, if there are commands     set-up answered, ExecStartPre= over
//	start-chown       before that, or Start            Listen answered
//	start-post        sockets made                     ExecStartPost= over
//	listening         start over; service gone         a socket is readable: the service is started
//	running           service asked for, or up         service down, or not coming
//	stop-pre          Stop, or a failure               ExecStopPre= over
//	stop-pre-sigterm  a command took too long; Stop    nobody left, or time is up
//	stop-pre-sigkill  SIGTERM did not help             nobody left, or time is up
//	stop-post         sockets closed                   ExecStopPost= over
//	final-sigterm     processes left                   nobody left, or time is up
//	final-sigkill     SIGTERM did not help             nobody left, or time is up
//	dead, failed      all over                         Start
//
// Results: "service-start-limit-hit" when the service failed by its start limit,
// "trigger-limit-hit" when traffic starts the service more often than TriggerLimitBurst= says.
package socket
