package main

import (
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
)

// Result is what all boots of one init with one workload gave.
type Result struct {
	Workload string   `json:"workload"`
	Init     string   `json:"init"`
	Samples  []Sample `json:"samples"`
	Median   Sample   `json:"median"` // of each measure by itself
}

// Report is everything of one run.
type Report struct {
	Packages []string `json:"packages"` // of the image; its kernel is the last
	Results  []Result `json:"results"`
	// Ratios are sysMaster's medians divided by systemd's, by workload; absent unless both were measured.
	Ratios map[string]Sample `json:"ratios,omitempty"`
}

// measures are the columns of the table.
func measures() []measureOf {
	return []measureOf{
		{"ready ms", func(s *Sample) *float64 { return &s.ReadyMS }},
		{"init CPU ms", func(s *Sample) *float64 { return &s.InitCPU }},
		{"system CPU ms", func(s *Sample) *float64 { return &s.SystemCPU }},
		{"PSS kB", func(s *Sample) *float64 { return &s.PSS }},
		{"private kB", func(s *Sample) *float64 { return &s.Private }},
		{"anonymous kB", func(s *Sample) *float64 { return &s.Anonymous }},
		{"RSS kB", func(s *Sample) *float64 { return &s.RSS }},
		{"outage ms", func(s *Sample) *float64 { return &s.OutageMS }},
	}
}

type measureOf struct {
	title string
	field func(*Sample) *float64
}

// median takes the median of each measure; samples must not be empty.
func median(samples []Sample) Sample {
	var m Sample
	for _, of := range measures() {
		var values []float64
		for i := range samples {
			values = append(values, *of.field(&samples[i]))
		}
		slices.Sort(values)
		n := len(values)
		*of.field(&m) = (values[(n-1)/2] + values[n/2]) / 2
	}
	return m
}

// ratios compares the two inits in each workload that both were measured with. A measure that is zero in systemd gives zero.
func ratios(results []Result) map[string]Sample {
	base := map[string]Sample{}
	for _, r := range results {
		if r.Init == systemdName {
			base[r.Workload] = r.Median
		}
	}
	out := map[string]Sample{}
	for _, r := range results {
		b, ok := base[r.Workload]
		if r.Init != sysmasterName || !ok {
			continue
		}
		var ratio Sample
		for _, of := range measures() {
			if d := *of.field(&b); d > 0 {
				*of.field(&ratio) = *of.field(&r.Median) / d
			}
		}
		out[r.Workload] = ratio
	}
	return out
}

// print writes the table: one line for each init and workload, and one with their ratio.
func (r Report) print(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(t, "workload\tinit\tboots\t")
	for _, of := range measures() {
		fmt.Fprint(t, of.title, "\t")
	}
	fmt.Fprintln(t)
	for i, res := range r.Results {
		row(t, res.Workload, res.Init, fmt.Sprint(len(res.Samples)), "%.0f", res.Median)
		last := i+1 == len(r.Results) || r.Results[i+1].Workload != res.Workload
		if ratio, ok := r.Ratios[res.Workload]; ok && last {
			row(t, "", "ratio", "", "%.3f", ratio)
		}
	}
	if err := t.Flush(); err != nil {
		return fmt.Errorf("cannot print the table: %w", err)
	}
	return nil
}

func row(w io.Writer, workload, init, boots, format string, s Sample) {
	fmt.Fprint(w, workload, "\t", init, "\t", boots, "\t")
	for _, of := range measures() {
		fmt.Fprintf(w, format+"\t", *of.field(&s))
	}
	fmt.Fprintln(w)
}
