package unitfile

// DefaultDirs is where the reference assembly looks for unit files, first wins: everything
// under /etc, then everything under /run, then what packages ship, and at each level
// sysmaster's directories before systemd's. So what the administrator overrides or masks
// always wins. The sub-directories are systemd's (man systemd.unit(5), UNIT FILE LOAD PATH).
func DefaultDirs() []string {
	return []string{
		"/etc/sysmaster/system.control",
		"/etc/sysmaster/system",
		"/etc/systemd/system.control",
		"/etc/systemd/system",
		"/etc/systemd/system.attached",
		"/run/sysmaster/system.control",
		"/run/sysmaster/transient",
		"/run/sysmaster/generator.early",
		"/run/sysmaster/system",
		"/run/sysmaster/generator",
		"/run/systemd/system.control",
		"/run/systemd/transient",
		"/run/systemd/generator.early",
		"/run/systemd/system",
		"/run/systemd/system.attached",
		"/run/systemd/generator",
		"/usr/local/lib/sysmaster/system",
		"/usr/lib/sysmaster/system",
		"/usr/local/lib/systemd/system",
		"/usr/lib/systemd/system",
		"/lib/systemd/system",
		// Last, because these generators give way to shipped units of the same name.
		"/run/sysmaster/generator.late",
		"/run/systemd/generator.late",
	}
}
