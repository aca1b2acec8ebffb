package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/sysmaster-go/sysmaster/examples/sysmaster/vmtest"
	"github.com/sysmaster-go/sysmaster/examples/sysmaster/vmtest/image"
)

// Names of the inits, for -inits and the report.
const (
	systemdName   = "systemd"
	sysmasterName = "sysmaster"
)

// options are the flags.
type options struct {
	boots     int
	inits     []string
	workloads []vmtest.Workload
	json      string
	module    string
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	o, err := parseFlags(os.Args[1:])
	if err == nil {
		err = run(ctx, o)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func parseFlags(args []string) (options, error) {
	var o options
	var inits, workloads string
	f := flag.NewFlagSet("bench", flag.ExitOnError)
	f.IntVar(&o.boots, "n", 3, "boots of each init with each workload")
	f.StringVar(&inits, "inits", systemdName+","+sysmasterName, "inits to boot, in this order")
	f.StringVar(&workloads, "workloads", "", "workloads, by comma (default all)")
	f.StringVar(&o.json, "json", "", "file for all measurements")
	f.StringVar(&o.module, "module", ".", "the module's folder; its .cache/vm keeps the image")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	if o.boots < 1 {
		return o, errors.New("cannot measure less than one boot")
	}
	o.inits = strings.Split(inits, ",")
	for _, name := range o.inits {
		if name != systemdName && name != sysmasterName {
			return o, fmt.Errorf("cannot boot %q: not %s or %s", name, systemdName, sysmasterName)
		}
	}
	var names []string
	for _, w := range vmtest.Workloads() {
		names = append(names, w.Name)
		if workloads == "" || slices.Contains(strings.Split(workloads, ","), w.Name) {
			o.workloads = append(o.workloads, w)
		}
	}
	if len(o.workloads) == 0 {
		return o, fmt.Errorf("cannot find a workload: known are %s", strings.Join(names, ", "))
	}
	var err error
	if o.module, err = filepath.Abs(o.module); err != nil {
		return o, fmt.Errorf("cannot find the module: %w", err)
	}
	return o, nil
}

func run(ctx context.Context, o options) error {
	img, err := build(ctx, o)
	if err != nil {
		return err
	}
	report := Report{Packages: img.Packages}
	for _, w := range o.workloads {
		results, err := measureAll(ctx, img, o, w)
		if err != nil {
			return err
		}
		report.Results = append(report.Results, results...)
	}
	report.Ratios = ratios(report.Results)
	if err := report.print(os.Stdout); err != nil {
		return err
	}
	if o.json == "" {
		return nil
	}
	b, err := json.MarshalIndent(report, "", "\t")
	if err != nil {
		return fmt.Errorf("cannot encode the report: %w", err)
	}
	if err := os.WriteFile(o.json, append(b, '\n'), 0o644); err != nil {
		return fmt.Errorf("cannot write the report: %w", err)
	}
	return nil
}

// measureAll boots the inits by turns with one workload.
func measureAll(ctx context.Context, img image.Image, o options, w vmtest.Workload) ([]Result, error) {
	dir, err := os.MkdirTemp("", "bench")
	if err != nil {
		return nil, fmt.Errorf("cannot make a folder: %w", err)
	}
	defer os.RemoveAll(dir)
	results := make([]Result, len(o.inits))
	for boot := range o.boots {
		for i, name := range o.inits {
			path := vmtest.SystemdPath
			if name == sysmasterName {
				path = vmtest.InitPath
			}
			start := time.Now()
			s, err := measure(ctx, img, path, w, dir)
			if err != nil {
				return nil, err
			}
			fmt.Fprintf(os.Stderr, "%s, %s, boot %d: ready after %.0f ms (%.0f s for the whole boot)\n",
				w.Name, name, boot+1, s.ReadyMS, time.Since(start).Seconds())
			results[i].Workload, results[i].Init = w.Name, name
			results[i].Samples = append(results[i].Samples, s)
		}
	}
	for i := range results {
		results[i].Median = median(results[i].Samples)
	}
	return results, nil
}

// build makes the image with the workload, and with our programs when they are measured.
func build(ctx context.Context, o options) (image.Image, error) {
	cache := filepath.Join(o.module, ".cache", "vm")
	program, err := compileWorkload(ctx, o.module)
	if err != nil {
		return image.Image{}, err
	}
	s := image.Spec{Module: o.module, Cache: cache, Files: vmtest.BenchFiles(program)}
	s.Log = func(line string) { fmt.Fprintln(os.Stderr, line) }
	if slices.Contains(o.inits, sysmasterName) {
		s.Programs = vmtest.Programs()
	}
	return image.Build(ctx, s)
}

// compileWorkload uses the machine's C compiler: no Go program is small enough to be 500 processes that cost nothing themselves.
func compileWorkload(ctx context.Context, module string) ([]byte, error) {
	dir, err := os.MkdirTemp("", "workload")
	if err != nil {
		return nil, fmt.Errorf("cannot make a folder: %w", err)
	}
	defer os.RemoveAll(dir)
	out := filepath.Join(dir, "workload")
	source := filepath.Join(module, "examples/sysmaster/vmtest/workload/workload.c")
	cmd := exec.CommandContext(ctx, "cc", "-static", "-nostdlib", "-Os", "-ffreestanding", "-fno-builtin", "-fno-stack-protector",
		"-s", "-o", out, source)
	if text, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("cannot compile the workload: %w\n%s", err, text)
	}
	b, err := os.ReadFile(out)
	if err != nil {
		return nil, fmt.Errorf("cannot read the workload: %w", err)
	}
	return b, nil
}
