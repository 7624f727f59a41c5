// Verifies the proofs of an evidence package: go run verify.go POLICY...
package main

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"filippo.io/torchwood"
	"golang.org/x/mod/sumdb/tlog"
)

func main() {
	var policies []torchwood.Policy
	for _, path := range os.Args[1:] {
		policy, err := torchwood.ParsePolicy(read(path))
		if err != nil {
			fail(path, err)
		}
		policies = append(policies, policy)
	}
	entries, _ := filepath.Glob("proofs/*.entry")
	if len(entries) == 0 {
		fail("proofs/*.entry", os.ErrNotExist)
	}
	for _, path := range entries {
		name := strings.TrimSuffix(path, ".entry")
		entry, facts := read(path), read(name+".facts")
		if digest := sha256.Sum256(facts); !bytes.HasSuffix(entry, digest[:]) {
			fail(name, fmt.Errorf("the facts are not those of the entry"))
		}
		err := fmt.Errorf("no policy is given")
		for _, policy := range policies {
			if err = torchwood.VerifyProof(policy, tlog.RecordHash(entry), read(name+".tlog-proof")); err == nil {
				break
			}
		}
		if err != nil {
			fail(name, err)
		}
		fmt.Printf("%s: %s\n", name, facts[16:])
	}
	fmt.Println("holds")
}

func read(path string) []byte {
	content, err := os.ReadFile(path)
	if err != nil {
		fail(path, err)
	}
	return content
}

func fail(where string, err error) {
	fmt.Fprintln(os.Stderr, where, err)
	os.Exit(1)
}
