package cli

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sysmaster-go/sysmaster/unit"
)

// service is a kind with one setting that is checked.
func kinds() map[unit.Kind]*unit.Type {
	type config struct{ common unit.Common }
	keys := unit.NewKeySet(
		unit.Lift(unit.CommonKeys(), func(c *config) *unit.Common { return &c.common }), unit.InstallKeys(),
		[]unit.Key{unit.Bind(unit.Key{Section: "Service", Name: "ExecStart", Form: unit.FormWords, OnError: unit.Error}, func(*config, string) error { return nil })},
	)
	return map[unit.Kind]*unit.Type{unit.KindService: {
		Kind: unit.KindService, Keys: keys, NewConfig: func() any { return &config{common: unit.NewCommon()} },
		New: func(*unit.Spec) (unit.Unit, error) { return nil, nil },
	}}
}

func verified(t *testing.T, args ...string) (out, errs string, code int) {
	t.Helper()
	var o, e bytes.Buffer
	code = Run(t.Context(), append([]string{"verify"}, args...), Env{
		Stdout: &o, Stderr: &e, Version: "1", Now: time.Now, Zone: time.UTC, Types: kinds(), Root: func(dir string) fs.FS { return os.DirFS(dir) },
	})
	return o.String(), e.String(), code
}

func TestVerify(t *testing.T) {
	root := t.TempDir()
	put := func(name, text string) {
		path := filepath.Join(root, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o755))
	}
	put("etc/systemd/system/good.service", "[Unit]\nDescription=On %H with %v, %m and %b\n[Service]\nExecStart=/bin/good\n")
	put("etc/systemd/system/warned.service", "[Unit]\nDescripton=x\n[Service]\nExecStart=/bin/good\n")
	put("etc/systemd/system/bad.service", "[Unit]\nRequires=none.service\n[Service]\nExecStart=/bin/bad\n")
	put("usr/bin/good", "#!/bin/sh\n")
	require.NoError(t, os.Symlink("/usr/bin", filepath.Join(root, "bin"))) // absolute, and still within the root
	dir := filepath.Join(root, "etc/systemd/system")
	put("other/good.service", "[Unit]\nDescripton=x\n[Service]\nExecStart=/bin/good\n")
	const warning = "/etc/systemd/system/warned.service:2: unknown key Descripton in section [Unit] is ignored (did you mean Description=?) [warning, unit-file]\n"

	for _, tc := range []struct {
		args []string
		out  string // with paths within the root
		code int
	}{
		{[]string{dir + "/good.service"}, "", 0},
		{[]string{dir + "/warned.service", dir + "/bad.service"}, warning, 0},
		{[]string{"--strict", dir + "/warned.service"}, warning, 1},
		{[]string{"--unit-path=" + dir}, warning, 0},
		{[]string{"--unit-path=" + dir, "good.service"}, "", 0},
		{[]string{"--root=" + root, "good.service", "/etc/systemd/system/warned.service"}, warning, 0},
		{[]string{"--root=" + root}, "/etc/systemd/system/bad.service:2: Requires=none.service: there is no such unit [error, missing-unit]\n" +
			"/etc/systemd/system/bad.service:4: Service.ExecStart: cannot be executed: /bin/bad: no such file or directory [error, missing-command]\n" + warning, 1},
		{[]string{dir + "/good.service", root + "/other/good.service"}, strings.ReplaceAll(warning, "/etc/systemd/system/warned", "/other/good"), 0},
		{[]string{"--root=" + root, "/other/good.service"}, strings.ReplaceAll(warning, "/etc/systemd/system/warned", "/other/good"), 0},
		{[]string{dir + "/none.service"}, "none.service: unit none.service not found [error, not-loaded]\n", 1},
	} {
		out, errs, code := verified(t, tc.args...)
		require.Equal(t, tc.out, strings.ReplaceAll(out, root, ""), tc.args)
		require.Empty(t, errs)
		require.Equal(t, tc.code, code, tc.args)
	}
	for _, args := range [][]string{{"--json", dir + "/warned.service"}, {"--format=json", dir + "/warned.service"}} {
		out, _, code := verified(t, args...)
		require.Equal(t, 0, code)
		require.Contains(t, out, `"severity": "warning"`)
	}
	out, _, _ := verified(t, "--format=sarif", dir+"/warned.service")
	require.Contains(t, out, `"ruleId": "unit-file"`)

	for _, args := range [][]string{nil, {"good.service"}, {"--format=xml", dir + "/good.service"}, {"--root=" + root + "/none"}, {"--unit-path=etc"}} {
		_, errs, code := verified(t, args...)
		require.Equal(t, exitUsage, code, args)
		require.NotEmpty(t, errs)
	}
}
