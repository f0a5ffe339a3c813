// SPDX-License-Identifier: Apache-2.0

package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// The plan of the house, held by a test so that it cannot drift. The reasons
// are in docs/design.md.

const (
	module      = "github.com/ringside-bpf/ringside"
	maxFile     = 500 // lines
	maxFunction = 69
)

// topLevel is all there is at the root, but for dot-files and what is ignored.
var topLevel = []string{"LICENSE", "Makefile", "README.md", "bin", "bpf", "clients", "cmd", "docs", "go.mod", "go.sum", "reader", "shm"}

// importRule says what the packages of one folder may import beside the
// standard library. Ours are named from the module's root.
type importRule struct {
	folder   string // with everything below, unless a longer rule matches
	ours     []string
	theirs   []string
	anything bool // any module of others
}

const (
	ciliumEBPF = "github.com/cilium/ebpf"
	xsys       = "golang.org/x/sys/unix"
)

var importRules = []importRule{
	{folder: "shm", ours: []string{"shm/fence", "shm/monotonic", "shm/nontemporal"}, theirs: []string{xsys}},
	{folder: "shm/fence"},
	{folder: "shm/nontemporal"},
	{folder: "shm/monotonic", theirs: []string{xsys}},
	{folder: "shm/schema"},
	{folder: "shm/handoff", ours: []string{"shm", "shm/monotonic"}, theirs: []string{xsys}},
	{folder: "reader", ours: []string{"bpf", "reader/ringbuf", "shm/monotonic", "shm/schema"}, theirs: []string{ciliumEBPF, xsys}},
	{folder: "reader/changes", ours: []string{"reader"}, theirs: []string{xsys}},
	{folder: "reader/ringbuf", ours: []string{"shm/fence"}, theirs: []string{xsys}},
	{folder: "reader/readertest", ours: []string{"reader"}, theirs: []string{xsys}},
	{folder: "bpf", ours: []string{"bpf"}, theirs: []string{ciliumEBPF, xsys}},
	{folder: "clients/clienttest", ours: []string{"bpf", "shm", "shm/monotonic", "shm/schema", "shm/handoff"}, theirs: []string{ciliumEBPF, xsys}},
	{folder: "clients/go", ours: []string{"clients/go", "shm", "shm/fence", "shm/monotonic", "shm/schema", "shm/handoff"}, theirs: []string{xsys}},
	{folder: "clients/go/internal/prefetch"},
	{folder: "cmd/ringside", ours: []string{"bpf", "clients/go", "cmd/ringside", "reader", "reader/changes", "shm", "shm/handoff", "shm/monotonic", "shm/schema"},
		theirs: []string{ciliumEBPF, xsys, "github.com/urfave/cli/v2", "github.com/rs/zerolog", "go.yaml.in/yaml/v3"}},
	{folder: "cmd/ringside-bench", ours: []string{"bpf", "clients/go", "cmd/ringside-bench", "reader", "reader/changes", "reader/ringbuf", "shm", "shm/handoff", "shm/monotonic", "shm/schema"}, anything: true},
	// Companions need no privilege: they are ordinary consumers.
	{folder: "cmd", ours: []string{"clients/go", "cmd", "shm/schema"}, anything: true},
}

// ours whose subfolders come with them.
var wholeTrees = []string{"bpf", "clients/go", "cmd", "cmd/ringside", "cmd/ringside-bench"}

// file is one source file of the tree.
type file struct {
	path string // from the root, with slashes
	text string
	ast  *ast.File // nil unless Go
	set  *token.FileSet
}

func (f file) test() bool      { return strings.HasSuffix(f.path, "_test.go") }
func (f file) generated() bool { return f.ast != nil && ast.IsGenerated(f.ast) }
func (f file) lines() int      { return strings.Count(f.text, "\n") }

// imports is what a Go file imports.
func (f file) imports() []string {
	var all []string
	for _, i := range f.ast.Imports {
		all = append(all, strings.Trim(i.Path.Value, `"`))
	}
	return all
}

// sources reads every source file below the root.
func sources(t *testing.T) []file {
	t.Helper()
	root := filepath.Join("..", "..")
	var files []file
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		if d.IsDir() {
			if rel != "." && (strings.HasPrefix(d.Name(), ".") || slices.Contains([]string{"bin", "target", "testdata"}, d.Name())) {
				return filepath.SkipDir
			}
			return nil
		}
		if !slices.Contains([]string{".go", ".c", ".h", ".s", ".S", ".py", ".rs", ".sh"}, filepath.Ext(name)) {
			return nil
		}
		f, err := load(name, filepath.ToSlash(rel))
		files = append(files, f)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func load(name, rel string) (file, error) {
	text, err := os.ReadFile(name)
	f := file{path: rel, text: string(text)}
	if err == nil && filepath.Ext(name) == ".go" {
		f.set = token.NewFileSet()
		f.ast, err = parser.ParseFile(f.set, rel, text, parser.ParseComments)
	}
	return f, err
}

func TestTidy(t *testing.T) {
	files := sources(t)
	for name, check := range map[string]func(*testing.T, []file){
		"top level": tidyTopLevel, "imports": tidyImports, "package docs": tidyDocs,
		"unsafe": tidyUnsafe, "length": tidyLength, "licence": tidyLicence,
	} {
		t.Run(name, func(t *testing.T) { check(t, files) })
	}
}

func tidyTopLevel(t *testing.T, _ []file) {
	entries, err := os.ReadDir(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		ignored := slices.Contains([]string{".test", ".prof"}, filepath.Ext(e.Name())) // see .gitignore
		if !ignored && !strings.HasPrefix(e.Name(), ".") && !slices.Contains(topLevel, e.Name()) {
			t.Errorf("%s: not at the top level, which holds only %v", e.Name(), topLevel)
		}
	}
}

func tidyImports(t *testing.T, files []file) {
	for _, f := range files {
		if f.ast == nil || f.test() {
			continue // tests may import what they compare with
		}
		rule := ruleFor(path.Dir(f.path))
		if rule == nil {
			t.Errorf("%s: no rule says what this folder may import", f.path)
			continue
		}
		for _, i := range f.imports() {
			if !rule.allows(i) {
				t.Errorf("%s: %s/ may not import %s", f.path, rule.folder, i)
			}
			if strings.HasPrefix(i, module) && strings.HasSuffix(i, "test") && !strings.HasSuffix(path.Dir(f.path), "test") {
				t.Errorf("%s: %s is for tests", f.path, i)
			}
		}
	}
}

// ruleFor is the rule with the longest matching folder.
func ruleFor(dir string) *importRule {
	var best *importRule
	for i := range importRules {
		r := &importRules[i]
		if within(dir, r.folder) && (best == nil || len(r.folder) > len(best.folder)) {
			best = r
		}
	}
	return best
}

func within(name, folder string) bool {
	return name == folder || strings.HasPrefix(name, folder+"/")
}

func (r *importRule) allows(name string) bool {
	first, _, _ := strings.Cut(name, "/")
	if !strings.Contains(first, ".") {
		return name != "C"
	}
	if own, ok := strings.CutPrefix(name, module+"/"); ok {
		return slices.ContainsFunc(r.ours, func(o string) bool {
			return own == o || slices.Contains(wholeTrees, o) && within(own, o)
		})
	}
	return r.anything || slices.ContainsFunc(r.theirs, func(o string) bool { return within(name, o) })
}

// tidyDocs wants one package comment, in doc.go, or in the file of a package
// that is a single one.
func tidyDocs(t *testing.T, files []file) {
	packages := map[string][]file{}
	for _, f := range files {
		if f.ast != nil && !f.test() {
			packages[path.Dir(f.path)] = append(packages[path.Dir(f.path)], f)
		}
	}
	for dir, all := range packages {
		documented := false
		for _, f := range all {
			switch {
			case f.ast.Doc == nil:
			case len(all) > 1 && path.Base(f.path) != "doc.go":
				t.Errorf("%s: the package comment belongs into doc.go", f.path)
			default:
				documented = true
			}
		}
		if !documented {
			t.Errorf("%s: no package comment in a doc.go", dir)
		}
	}
}

func tidyUnsafe(t *testing.T, files []file) {
	for _, f := range files {
		if f.ast == nil || strings.HasSuffix(f.path, "_bpfel.go") {
			continue
		}
		base := strings.TrimSuffix(strings.TrimSuffix(f.path, ".go"), "_test")
		if named, uses := strings.HasSuffix(base, "_unsafe"), slices.Contains(f.imports(), "unsafe"); named != uses {
			t.Errorf("%s: imports unsafe: %v, and its name says: %v", f.path, uses, named)
		}
	}
}

func tidyLength(t *testing.T, files []file) {
	for _, f := range files {
		if f.generated() {
			continue
		}
		if n := f.lines(); n > maxFile {
			t.Errorf("%s: %d lines, at most %d fit one sitting", f.path, n, maxFile)
		}
		if f.ast == nil {
			continue
		}
		for _, d := range f.ast.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok {
				continue
			}
			n := f.set.Position(fn.End()).Line - f.set.Position(fn.Pos()).Line + 1
			if n > maxFunction {
				t.Errorf("%s: %s has %d lines, at most %d", f.path, fn.Name.Name, n, maxFunction)
			}
		}
	}
}

func tidyLicence(t *testing.T, files []file) {
	for _, f := range files {
		if f.generated() {
			continue
		}
		want := "SPDX-License-Identifier: Apache-2.0"
		if ext := path.Ext(f.path); within(f.path, "bpf") && (ext == ".c" || ext == ".h") {
			want = "SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause"
		}
		head := strings.SplitN(f.text, "\n", 3)
		if !slices.ContainsFunc(head[:min(2, len(head))], func(l string) bool { return strings.Contains(l, want) }) {
			t.Errorf("%s: does not begin with %q", f.path, want)
		}
	}
}
