package state

// WithNewest makes a program of another age: newest is the newest format that it knows.
func (c Config) WithNewest(newest uint32) Config {
	c.newest = newest
	return c
}

// Formats are those of the files.
func (l *Log) Formats() (list []uint32) {
	for _, f := range l.files {
		list = append(list, f.hdr.format)
	}
	return list
}
