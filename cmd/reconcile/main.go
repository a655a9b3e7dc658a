// Command reconcile makes physical servers match what git declares. Run
// "reconcile --help", or see the README.
package main

import "os"

func main() {
	os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}
