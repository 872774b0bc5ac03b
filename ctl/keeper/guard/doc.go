// Package guard is shisa-keeper from the inside: the loop that pings the
// countdowns while every beat is fresh, and the requests that change what it
// does.
//
// What happens in each combination of daemon and countdown:
//
//	daemon    \ countdown   none armed          guarding                    shutdown
//	beats                   measured            pinged                      counts down
//	a beat is stale         recorded            not pinged: fires at the    counts down
//	                                            beat's limit
//	stopped, hung           recorded            fires at the first limit    counts down
//	ended, crashed          recorded            fires at the longer of      counts down
//	                                            limit and absence
//	back in time            measured            pinged again                counts down
//	disarms on purpose      –                   stopped                     stopped
//	upgraded                as above: it is ended and back in time
//
// And for the keeper itself:
//
//	upgraded                the same process goes on as another program; it
//	                        keeps the devices and misses no ping
//	killed, crashed         its devices are closed without the magic letter:
//	                        the countdown goes on and fires unless the next
//	                        keeper is told to arm again. The few devices that
//	                        have no magic letter stop (wdt.Engine.Close)
//	SIGTERM                 leaves; an armed countdown goes on, but in a
//	                        shutdown that is to be released on SIGTERM it stops
//
// The unit of the keeper is to have DefaultDependencies=no and no conflict with
// shutdown.target: it then lives until systemd terminates everything, and beyond it
// (see spare), so that nobody else gets hold of the device.
package guard
