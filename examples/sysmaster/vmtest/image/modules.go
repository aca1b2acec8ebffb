package image

import (
	"bytes"
	"debug/elf"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// maxModules bounds the modules that one initramfs may need.
const maxModules = 200

// module is a kernel module's name and file.
type module struct{ name, path string }

// closeModules gives the wanted modules and all that they depend on, each after what it needs. dir is a lib/modules/VERSION
// folder. A name that is neither there nor built into the kernel is an error.
func closeModules(dir string, wanted []string) ([]module, error) {
	files, err := moduleFiles(dir)
	if err != nil {
		return nil, err
	}
	var order []module
	seen := map[string]bool{}
	var visit func(name string) error
	visit = func(name string) error {
		if seen[name] {
			return nil
		}
		seen[name] = true
		path, ok := files[name]
		switch {
		case !ok:
			return fmt.Errorf("cannot find kernel module %s in %s", name, dir)
		case path == "":
			return nil // built in
		case len(seen) > maxModules:
			return fmt.Errorf("cannot collect kernel modules: more than %d", maxModules)
		}
		depends, err := moduleDepends(path)
		if err != nil {
			return err
		}
		for _, d := range depends {
			if err := visit(d); err != nil {
				return err
			}
		}
		order = append(order, module{name, path})
		return nil
	}
	for _, name := range wanted {
		if err := visit(moduleName(name)); err != nil {
			return nil, err
		}
	}
	return order, nil
}

// moduleName is the name that the kernel uses for a module file or a name given by a user: "-" and "_" are the same.
func moduleName(file string) string {
	return strings.ReplaceAll(strings.TrimSuffix(filepath.Base(file), ".ko"), "-", "_")
}

// moduleFiles maps module names to files, and built-in ones to "".
func moduleFiles(dir string) (map[string]string, error) {
	files := map[string]string{}
	builtin, err := os.ReadFile(filepath.Join(dir, "modules.builtin"))
	if err != nil {
		return nil, fmt.Errorf("cannot list the kernel's built-in modules: %w", err)
	}
	for _, line := range strings.Fields(string(builtin)) {
		files[moduleName(line)] = ""
	}
	err = filepath.WalkDir(filepath.Join(dir, "kernel"), func(path string, d fs.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(path, ".ko") {
			files[moduleName(path)] = path
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("cannot list kernel modules: %w", err)
	}
	return files, nil
}

// moduleDepends reads the depends= entry of a module's .modinfo section: strings ended by NUL (kernel's modpost).
func moduleDepends(path string) ([]string, error) {
	f, err := elf.Open(path)
	if err != nil {
		return nil, fmt.Errorf("cannot read kernel module: %w", err)
	}
	defer f.Close()
	section := f.Section(".modinfo")
	if section == nil {
		return nil, fmt.Errorf("cannot read kernel module %s: no .modinfo section", path)
	}
	info, err := section.Data()
	if err != nil {
		return nil, fmt.Errorf("cannot read kernel module %s: %w", path, err)
	}
	var names []string
	for _, entry := range bytes.Split(info, []byte{0}) {
		list, ok := bytes.CutPrefix(entry, []byte("depends="))
		if !ok {
			continue
		}
		for _, name := range strings.Split(string(list), ",") {
			if name != "" {
				names = append(names, moduleName(name))
			}
		}
	}
	return names, nil
}
