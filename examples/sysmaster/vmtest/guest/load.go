package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/sysmaster-go/sysmaster/examples/sysmaster/vmtest/wire"
)

// requestLimit is how long one request may take before it counts as failed: much longer than anything but an outage.
const requestLimit = 20 * time.Second

// requestPause is between two requests, so that two emulated processors have time for anything else.
const requestPause = 5 * time.Millisecond

// loader requests a page again and again.
type loader struct {
	mu   sync.Mutex
	quit chan struct{} // nil while nothing runs
	done chan wire.Load
}

func (l *loader) start(address string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.quit != nil {
		return errors.New("cannot start the requests: they run already")
	}
	quit, done := make(chan struct{}), make(chan wire.Load, 1)
	l.quit, l.done = quit, done
	go func() { done <- request(address, quit) }()
	return nil
}

func (l *loader) stop() (wire.Answer, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.quit == nil {
		return wire.Answer{}, errors.New("cannot stop the requests: none run")
	}
	close(l.quit)
	report := <-l.done // at most requestLimit later
	l.quit = nil
	return wire.Answer{Load: &report}, nil
}

// request asks until quit is closed.
func request(address string, quit <-chan struct{}) (report wire.Load) {
	for {
		select {
		case <-quit:
			return report
		case <-time.After(requestPause):
		}
		start := time.Now()
		if err := getPage(address); err != nil {
			if report.Failed++; report.Failed == 1 {
				report.First = err.Error()
			}
		} else {
			report.Requests++
		}
		report.LongestMS = max(report.LongestMS, float64(time.Since(start))/float64(time.Millisecond))
	}
}

// getPage makes a connection of its own, so that it needs the listening socket too.
func getPage(address string) error {
	c, err := net.DialTimeout("tcp", address, requestLimit)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(requestLimit)); err != nil {
		return err
	}
	if _, err := io.WriteString(c, "GET / HTTP/1.0\r\n\r\n"); err != nil {
		return err
	}
	r, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return err
	}
	defer r.Body.Close()
	if _, err := io.Copy(io.Discard, r.Body); err != nil {
		return err
	}
	if r.StatusCode != http.StatusOK {
		return fmt.Errorf("the answer is %s", r.Status)
	}
	return nil
}
